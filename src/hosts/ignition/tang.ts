import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { Agent, request } from 'undici'
import { Fault } from '../../runbook/fault.ts'
import { type Jwk, type Jws, signedBy, thumbprint } from './jose.ts'

/** What a Tang server says of itself: the keys that it has, signed by every one that signs. */
export interface Advertisement {
  /** SHA-256 thumbprints of the keys that sign it: what `tang-show-keys` prints, and what a config pins. */
  signing: string[]
  /** SHA-1 thumbprints of the same keys: older configs pin these, and clevis still takes them. */
  signingSha1: string[]
  /** SHA-256 thumbprints of the keys by which secrets are recovered; to pin one of these is a mistake. */
  exchange: string[]
}

/** Another machine from which a server is asked. */
export interface Outpost {
  name: string
  /** What it gets from an address; undefined where it gets nothing. */
  fetch(url: string): Promise<string | undefined>
}

/** Tang servers as this computer sees them, or as a machine in their own network does. Nothing is asked but `/adv`, which changes nothing. */
export interface TangReader {
  /**
   * Faults `tang-unreachable` (transient) when nobody answers or not in time, `tang-advertisement-invalid` when what
   * answers is no Tang or its signatures do not fit.
   */
  advertisement(url: string, signal: AbortSignal, from?: Outpost): Promise<Advertisement>
  /** The thumbprint that a server must show where a config names this one: another one in a lab. */
  expected(thumbprint: string): string
  /** Addresses behind the host of a URL; none where it does not resolve or must not be asked for. */
  addresses(url: string): Promise<string[]>
}

/** A lab's Tang in the place of every other. */
export interface TangRoute {
  url: string
  thumbprint: string
}

const answerWithinMs = 10_000
const largestAnswer = 1_000_000

/** Asks Tang servers over HTTP; with a route, the lab's in the place of every other. */
export function connectTang(route?: TangRoute): TangReader & { close(): Promise<void> } {
  let agent: Agent | undefined
  return {
    async advertisement(url, signal, from) {
      if (from !== undefined) {
        const text = await from.fetch(`${(route?.url ?? url).replace(/\/+$/, '')}/adv`)
        if (text !== undefined) return readAdvertisement(text, url)
        throw unreachable(url, `asked from ${from.name}, which stands in its network`)
      }
      agent ??= new Agent({ connect: { timeout: 5_000 }, maxResponseSize: largestAnswer })
      const asked = `${(route?.url ?? url).replace(/\/+$/, '')}/adv`
      let answer: { status: number; text: string }
      try {
        // curl, by which clevis asks, follows no redirection either.
        const response = await request(asked, {
          dispatcher: agent,
          signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
        })
        answer = { status: response.statusCode, text: await response.body.text() }
      } catch (cause) {
        if (signal.aborted) throw signal.reason
        throw unreachable(url, why(cause), cause)
      }
      if (answer.status !== 200) throw invalid(url, `it answers ${answer.status}`)
      return readAdvertisement(answer.text, url)
    },
    expected: configured => route?.thumbprint ?? configured,
    async addresses(url) {
      const host = hostOf(url)
      if (host === '' || isIP(host)) return host === '' ? [] : [host]
      if (route) return []
      try {
        return (await lookup(host, { all: true })).map(a => a.address)
      } catch {
        return []
      }
    },
    async close() {
      await agent?.destroy()
    },
  }
}

function unreachable(url: string, how: string, cause?: unknown): Fault {
  return new Fault({
    code: 'tang-unreachable',
    blame: 'network',
    message: `the Tang server ${url} does not answer (${how}): a machine whose disk is bound to it can be neither installed nor booted`,
    remedy:
      'Start it, and see that its address resolves and is reached without this cluster; then run this again',
    transient: true,
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Name or address in a URL, without the brackets of IPv6; empty for what is no URL. */
export function hostOf(url: string): string {
  try {
    return new URL(url).hostname.replace(/^\[|\]$/g, '')
  } catch {
    return ''
  }
}

/**
 * Reads an advertisement and believes it as clevis does: every key that signs must have signed it. Throws Fault
 * `tang-advertisement-invalid`.
 */
export function readAdvertisement(text: string, url: string): Advertisement {
  let jws: Jws
  let keys: Jwk[]
  try {
    jws = JSON.parse(text) as Jws
    const set = JSON.parse(Buffer.from(jws.payload, 'base64url').toString()) as { keys?: Jwk[] }
    keys = set.keys ?? []
  } catch (cause) {
    throw invalid(url, 'what it shows is no advertisement', cause)
  }
  const signing = keys.filter(k => k.key_ops?.includes('verify'))
  if (signing.length === 0) throw invalid(url, 'its advertisement has no key that signs')
  const unsigned = signing.filter(key => !signedBy(jws, key))
  if (unsigned.length > 0)
    throw invalid(
      url,
      `its advertisement is not signed by its own key ${unsigned.map(key => thumbprint(key)).join(', ')}`,
    )
  return {
    signing: signing.map(key => thumbprint(key)),
    signingSha1: signing.map(key => thumbprint(key, 'sha1')),
    exchange: keys.filter(k => k.key_ops?.includes('deriveKey')).map(key => thumbprint(key)),
  }
}

function invalid(url: string, reason: string, cause?: unknown): Fault {
  return new Fault({
    code: 'tang-advertisement-invalid',
    blame: 'host',
    message: `${url} does not show a Tang server’s keys: ${reason}`,
    remedy: `See what answers there (\`curl ${url}/adv\`), and that the URL in the config is the server’s own`,
    cause,
  })
}

/** What a config pins, against what the server has. Undefined when it fits. */
export function pinProblem(
  url: string,
  pinned: string | null | undefined,
  has: Advertisement,
  configured = pinned,
): Fault | undefined {
  if (pinned && (has.signing.includes(pinned) || has.signingSha1.includes(pinned))) return undefined
  return new Fault({
    code: 'tang-thumbprint-differs',
    blame: 'operator',
    message: pinned
      ? `${url} signs with ${has.signing.join(' and ')}, not with ${configured}${has.exchange.includes(pinned) ? ', which is its key for recovering' : ''}: the installation would fail in the initramfs, again and again`
      : `no thumbprint is pinned for ${url}, which signs with ${has.signing.join(' and ')}`,
    remedy: `If that server is yours and its keys were rotated, pin what \`tang-show-keys\` prints on it in the Butane file; if it lost its keys, bring them back from a backup`,
  })
}

function why(cause: unknown): string {
  const { name, code, message } = cause as { name?: string; code?: string; message?: string }
  if (name === 'TimeoutError') return `no answer within ${answerWithinMs / 1000} s`
  return code ?? message ?? 'no answer'
}
