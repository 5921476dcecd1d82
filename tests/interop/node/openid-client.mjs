// npm openid-client: https://www.npmjs.com/package/openid-client
import * as client from 'openid-client'
import { browse, failure, report, setup } from './dialogue.mjs'

const authentication = {
  client_secret_basic: () => client.ClientSecretBasic(setup.client_secret),
  client_secret_post: () => client.ClientSecretPost(setup.client_secret),
  none: () => client.None(),
}[setup.method]()

const config = await client.discovery(new URL(setup.issuer), setup.client_id, undefined, authentication, {
  algorithm: 'oauth2',
  execute: [client.allowInsecureRequests],
})

async function ask(decision) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: setup.redirect_uri,
    scope: setup.scope,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
  })
  const landed = await browse(url, decision)
  return { landed, exchange: () => client.authorizationCodeGrant(config, landed, { pkceCodeVerifier, expectedState }) }
}

const call = (token) => client.fetchProtectedResource(config, token, new URL(setup.api), 'GET')

const no = await ask('deny')
const denied = await failure(no.exchange)

const yes = await ask('approve')
const token = await yes.exchange()
const me = await (await call(token.access_token)).json()
const refreshed = await client.refreshTokenGrant(config, token.refresh_token)

const introspect = () => client.tokenIntrospection(config, refreshed.access_token)
const introspected = setup.client_secret ? await introspect() : { error: (await failure(introspect)).error }

await client.tokenRevocation(config, refreshed.refresh_token)
const challenged = await failure(() => call(refreshed.access_token))
const refused = await failure(() => client.refreshTokenGrant(config, refreshed.refresh_token))

report({
  // The library checked state and iss before it told of the error.
  denied: { error: denied.error, state: denied.cause.has('state'), iss: denied.cause.get('iss') },
  token,
  me,
  refreshed,
  introspected,
  revoked: { status: challenged.status, error: challenged.cause[0].parameters.error },
  refused: refused.error,
})
