import { createHash } from 'node:crypto'
import { Fault } from '../runbook/fault.ts'
import type { HostKey } from './keys.ts'

/** An Ignition config that is ready to be given to one host of one run. Holds a private key: never printed, kept 0600. */
export interface PreparedIgnition {
  text: string
  sha256: string
}

interface IgnitionConfig {
  ignition?: { version?: string }
  passwd?: { users?: { name?: string; sshAuthorizedKeys?: string[] }[] }
  storage?: {
    files?: { path?: string; overwrite?: boolean; mode?: number; contents?: { source?: string } }[]
  }
  [key: string]: unknown
}

/**
 * Checks a ready-made config and adds what makes the machine recognisable: the host key that we minted and the run's
 * name. Throws Fault `ignition-invalid` or `ignition-no-login`.
 * @param source where the config comes from, for messages
 */
export function prepareIgnition(
  config: string,
  source: string,
  identity: { run: string; host: string; key: HostKey },
): PreparedIgnition {
  const parsed = checkIgnition(config, source)
  const files = parsed.storage?.files ?? []
  const own = [
    { path: '/etc/ssh/ssh_host_ed25519_key', mode: 0o600, text: identity.key.privateKey },
    { path: '/etc/ssh/ssh_host_ed25519_key.pub', mode: 0o644, text: `${identity.key.publicKey}\n` },
    {
      path: '/etc/recover/run.json',
      mode: 0o644,
      text: `${JSON.stringify({ run: identity.run, host: identity.host })}\n`,
    },
  ]
  const text = JSON.stringify({
    ...parsed,
    storage: {
      ...parsed.storage,
      files: [
        ...files.filter(f => !own.some(o => o.path === f.path)),
        ...own.map(({ path, mode, text }) => ({
          path,
          mode,
          overwrite: true,
          contents: { source: `data:;base64,${Buffer.from(text).toString('base64')}` },
        })),
      ],
    },
  })
  return { text, sha256: createHash('sha256').update(text).digest('hex') }
}

/** Parses a config and refuses what would leave a machine that nobody can log in to. */
export function checkIgnition(config: string, source: string): IgnitionConfig {
  const invalid = (why: string, cause?: unknown) =>
    new Fault({
      code: 'ignition-invalid',
      blame: 'operator',
      message: `${source} is not an Ignition config that can be used: ${why}`,
      remedy: 'Compile it from its Butane file again, and check it with ignition-validate',
      at: source,
      cause,
    })
  let parsed: IgnitionConfig
  try {
    parsed = JSON.parse(config) as IgnitionConfig
  } catch (cause) {
    throw invalid('it is not JSON', cause)
  }
  const version = parsed?.ignition?.version
  if (typeof version !== 'string') throw invalid('it has no ignition.version')
  if (!/^3\.[0-9]+\.0(-experimental)?$/.test(version))
    throw invalid(`its version ${version} is not of the 3.x line`)
  const paths = (parsed.storage?.files ?? []).map(f => f.path)
  const twice = paths.find((path, i) => paths.indexOf(path) !== i)
  if (twice !== undefined) throw invalid(`it writes ${twice} twice`)
  const users = parsed.passwd?.users ?? []
  if (!users.some(u => (u.sshAuthorizedKeys?.length ?? 0) > 0))
    throw new Fault({
      code: 'ignition-no-login',
      blame: 'operator',
      message: `${source} gives no user an SSH key: nobody could log in to the machine that it makes`,
      remedy: 'Add sshAuthorizedKeys to a user (passwd.users), with a key that you hold',
      at: source,
    })
  return parsed
}
