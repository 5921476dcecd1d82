// npm oauth4webapi: https://www.npmjs.com/package/oauth4webapi
import * as oauth from 'oauth4webapi'
import { browse, failure, report, setup } from './dialogue.mjs'

const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(setup.issuer)
const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
const server = await oauth.processDiscoveryResponse(issuer, discovered)
const client = { client_id: setup.client_id }
const authentication = {
  client_secret_basic: () => oauth.ClientSecretBasic(setup.client_secret),
  client_secret_post: () => oauth.ClientSecretPost(setup.client_secret),
  none: () => oauth.None(),
}[setup.method]()

async function ask(decision) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const url = new URL(server.authorization_endpoint)
  url.searchParams.set('client_id', client.client_id)
  url.searchParams.set('redirect_uri', setup.redirect_uri)
  url.searchParams.set('response_type', 'code')
  url.searchParams.set('scope', setup.scope)
  url.searchParams.set('code_challenge', await oauth.calculatePKCECodeChallenge(verifier))
  url.searchParams.set('code_challenge_method', 'S256')
  url.searchParams.set('state', state)
  const landed = await browse(url, decision)
  return { verifier, check: () => oauth.validateAuthResponse(server, client, landed, state) }
}

async function exchange({ verifier, check }) {
  const response = await oauth.authorizationCodeGrantRequest(
    server, client, authentication, check(), setup.redirect_uri, verifier, insecure,
  )
  return oauth.processAuthorizationCodeResponse(server, client, response)
}

async function refresh(refreshToken) {
  const response = await oauth.refreshTokenGrantRequest(server, client, authentication, refreshToken, insecure)
  return oauth.processRefreshTokenResponse(server, client, response)
}

async function introspect(token) {
  const response = await oauth.introspectionRequest(server, client, authentication, token, insecure)
  return oauth.processIntrospectionResponse(server, client, response)
}

const call = (token) => oauth.protectedResourceRequest(token, 'GET', new URL(setup.api), undefined, null, insecure)

const denied = await failure((await ask('deny')).check)

const token = await exchange(await ask('approve'))
const me = await (await call(token.access_token)).json()
const refreshed = await refresh(token.refresh_token)

const asking = () => introspect(refreshed.access_token)
const introspected = setup.client_secret ? await asking() : { error: (await failure(asking)).error }

const ended = await oauth.revocationRequest(server, client, authentication, refreshed.refresh_token, insecure)
await oauth.processRevocationResponse(ended)
const challenged = await failure(() => call(refreshed.access_token))
const refused = await failure(() => refresh(refreshed.refresh_token))

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
