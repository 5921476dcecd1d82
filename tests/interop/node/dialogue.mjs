// How a client program and the test talk: a line of JSON each, on standard input and output. See ../processes.py.
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function heard() {
  const { value, done } = await lines.next()
  if (done) process.exit(1)
  return JSON.parse(value)
}

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)

export const setup = await heard()

/** Have the person open the URL and decide; resolves to the URL that the browser was sent back to. */
export async function browse(url, decision) {
  say({ browse: String(url), decision })
  return new URL(await heard())
}

/** Print what the walk brought, and end. */
export function report(walk) {
  say({ report: walk })
  process.stdin.destroy()
}

/** The error that `attempt` ends with; succeeding is the failure here. */
export async function failure(attempt) {
  try {
    await attempt()
  } catch (error) {
    return error
  }
  throw new Error('this was expected to fail')
}
