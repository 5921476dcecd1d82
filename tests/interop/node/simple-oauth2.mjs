// npm simple-oauth2: https://www.npmjs.com/package/simple-oauth2
// It has no discovery, PKCE, state, iss or introspection of its own; what it is given it passes on.
import { createHash, randomBytes } from 'node:crypto'
import { AuthorizationCode } from 'simple-oauth2'
import { browse, failure, report, setup } from './dialogue.mjs'

const random = () => randomBytes(32).toString('base64url')
const metadata = await (await fetch(`${setup.issuer}/.well-known/oauth-authorization-server`)).json()
const path = (endpoint) => new URL(endpoint).pathname
const options = {
  client_secret_basic: { authorizationMethod: 'header', credentialsEncodingMode: 'strict' },
  'raw client_secret_basic': { authorizationMethod: 'header', credentialsEncodingMode: 'loose' },
  client_secret_post: { authorizationMethod: 'body' },
  none: { authorizationMethod: 'body' },
}[setup.method]
const client = new AuthorizationCode({
  // A public client's secret is the empty string here, and goes out as one.
  client: { id: setup.client_id, secret: setup.client_secret ?? '' },
  auth: {
    tokenHost: setup.issuer,
    tokenPath: path(metadata.token_endpoint),
    revokePath: path(metadata.revocation_endpoint),
    authorizePath: path(metadata.authorization_endpoint),
  },
  options,
})

async function ask(decision) {
  const verifier = random()
  const state = random()
  const url = client.authorizeURL({
    redirect_uri: setup.redirect_uri,
    scope: setup.scope,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const answer = (await browse(url, decision)).searchParams
  if (answer.get('state') !== state || answer.get('iss') !== setup.issuer) throw new Error(`not ours: ${answer}`)
  return { verifier, answer }
}

const call = (token) => fetch(setup.api, { headers: { authorization: `Bearer ${token}` } })

const { answer: no } = await ask('deny')

const { verifier, answer } = await ask('approve')
const token = await client.getToken({
  code: answer.get('code'),
  redirect_uri: setup.redirect_uri,
  code_verifier: verifier,
})
const me = await (await call(token.token.access_token)).json()
const refreshed = await token.refresh()

const introspection = await fetch(metadata.introspection_endpoint, {
  method: 'POST',
  body: new URLSearchParams({
    client_id: setup.client_id,
    client_secret: setup.client_secret ?? '',
    token: refreshed.token.access_token,
  }),
})
const { error_description: _, ...introspected } = await introspection.json()

// Revokes the access token, which ends the family, and then the refresh token, which by then is unknown.
await refreshed.revokeAll()
const challenged = await call(refreshed.token.access_token)
const refused = await failure(() => refreshed.refresh())

report({
  denied: { error: no.get('error'), state: no.has('state'), iss: no.get('iss') },
  token: token.token,
  me,
  refreshed: refreshed.token,
  introspected,
  revoked: { status: challenged.status, error: (await challenged.json()).error },
  refused: refused.data.payload.error,
})
