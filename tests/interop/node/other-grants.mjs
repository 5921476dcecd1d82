// npm openid-client, the grants without a redirect: client credentials (RFC 6749 §4.4) and the device grant (RFC 8628).
import * as client from 'openid-client'
import { browse, failure, report, setup } from './dialogue.mjs'

const config = await client.discovery(
  new URL(setup.issuer),
  setup.client_id,
  undefined,
  client.ClientSecretBasic(setup.client_secret),
  { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
)
const call = (token) => client.fetchProtectedResource(config, token, new URL(setup.api), 'GET')

const machine = await client.clientCredentialsGrant(config, { scope: setup.scope })

async function device(decision) {
  const codes = await client.initiateDeviceAuthorization(config, { scope: setup.scope })
  await browse(codes.verification_uri_complete, decision)
  return { codes, poll: () => client.pollDeviceAuthorizationGrant(config, codes) }
}

const yes = await device('approve')
const token = await yes.poll()
const me = await (await call(token.access_token)).json()
const refreshed = await client.refreshTokenGrant(config, token.refresh_token)
const no = await device('deny')
const denied = await failure(no.poll)

report({
  machine,
  introspected: await client.tokenIntrospection(config, machine.access_token),
  codes: yes.codes,
  token,
  me,
  refreshed,
  denied: denied.error,
})
