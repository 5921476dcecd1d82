// The last page of a flow in a window of its own: tell the page that opened it, and close once it has heard.
// Where nobody hears, this page stays, with its link to go on here.

const { popup, next } = document.getElementById("pkce-finished").dataset;
const channel = new BroadcastChannel(`pkce_auth ${popup}`);
channel.onmessage = () => window.close();
channel.postMessage({ next });
