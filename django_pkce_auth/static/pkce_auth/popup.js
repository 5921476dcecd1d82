// A connect or log-in button with "popup": the flow happens in a small window, and this page goes on when it is done.
//
// The two windows talk by a BroadcastChannel of a random name, which only this site's own pages can hear. The usual
// window.opener is gone by then: it does not survive the visit to a provider under Cross-Origin-Opener-Policy.

const SIZE = { width: 520, height: 720 };

function draw() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function open() {
  const left = Math.max(0, Math.round(window.screenX + (window.outerWidth - SIZE.width) / 2));
  const top = Math.max(0, Math.round(window.screenY + (window.outerHeight - SIZE.height) / 2));
  const features = `popup,width=${SIZE.width},height=${SIZE.height},left=${left},top=${top}`;
  const opened = window.open("", "pkce_auth", features);
  try {
    // The provider's pages must not reach back and send this page elsewhere.
    if (opened) opened.opener = null;
  } catch {
    // It was open already and is at the provider, which then has no opener any more.
  }
  return opened;
}

function listen(form, popup) {
  const channel = new BroadcastChannel(`pkce_auth ${popup}`);
  channel.onmessage = ({ data }) => {
    channel.postMessage("told");
    channel.onmessage = null;
    // A page that does better than load anew listens for this, and prevents the default.
    const told = new CustomEvent("pkce-auth:finished", { bubbles: true, cancelable: true, detail: { next: data.next } });
    if (!form.dispatchEvent(told)) return;
    if (data.next) window.location.assign(data.next);
    else window.location.reload();
  };
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const isOurs = form instanceof HTMLFormElement && form.matches("[data-pkce-popup]");
  // Without a window (a browser that blocks it) the form goes on in this one.
  if (!isOurs || event.defaultPrevented || !open()) return;
  const popup = draw();
  listen(form, popup);
  form.target = "pkce_auth";
  form.elements.popup.value = popup;
  // What is sent is collected after this event; the next time begins anew.
  setTimeout(() => {
    form.removeAttribute("target");
    form.elements.popup.value = "";
  });
});
