// npm oidc-provider: https://www.npmjs.com/package/oidc-provider
// An authorization server for the client side to meet. Its issuer has a path, so that its metadata is found only where
// OpenID Connect Discovery puts it. It ends when its standard input does.
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

const { issuer, clients, key } = JSON.parse(process.env.INTEROP_OIDC)
const { port, pathname } = new URL(issuer)

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...client,
  })),
  cookies: { keys: [key] },
  claims: { openid: ['sub'], profile: ['preferred_username'] },
  features: { revocation: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: `${id} of oidc-provider` }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
})
const answer = provider.callback()

const server = createServer((request, response) => {
  if (!request.url.startsWith(`${pathname}/`)) {
    response.writeHead(404).end()
    return
  }
  request.originalUrl = request.url
  request.url = request.url.slice(pathname.length)
  answer(request, response)
})
server.listen(Number(port), '127.0.0.1')

process.stdin.resume()
process.stdin.on('end', () => process.exit())
