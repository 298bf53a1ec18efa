import { createHash } from 'node:crypto'
import { Fault } from '../../runbook/fault.ts'
import type { HostKey } from '../keys.ts'
import { type IgnitionConfig, parseIgnition } from './config.ts'

/** An Ignition config that is ready to be given to one host of one run. Holds a private key: never printed, kept 0600. */
export interface PreparedIgnition {
  text: string
  sha256: string
}

/**
 * Checks a compiled config and adds what makes the machine recognisable: the host keys that we minted and the run's
 * name. Throws Fault `ignition-invalid` or `ignition-no-login`.
 * @param source where the config comes from, for messages
 */
export function prepareIgnition(
  config: string,
  source: string,
  identity: { run: string; host: string; keys: readonly HostKey[] },
): PreparedIgnition {
  const parsed = checkIgnition(config, source)
  const own = [
    ...identity.keys.flatMap(key => [
      { path: `/etc/ssh/ssh_host_${key.type}_key`, mode: 0o600, text: key.privateKey },
      { path: `/etc/ssh/ssh_host_${key.type}_key.pub`, mode: 0o644, text: `${key.publicKey}\n` },
    ]),
    {
      path: '/etc/recover/run.json',
      mode: 0o644,
      text: `${JSON.stringify({ run: identity.run, host: identity.host })}\n`,
    },
  ]
  const ours = new Set(own.map(o => o.path))
  const others = <N extends { path?: string }>(nodes: N[]): N[] => nodes.filter(n => !ours.has(n.path ?? ''))
  const links = parsed.storage?.links
  const text = JSON.stringify({
    ...parsed,
    storage: {
      ...parsed.storage,
      // A link to a key of the person's would be followed, and our key written over whatever it leads to.
      ...(links ? { links: others(links) } : {}),
      files: [
        ...others(parsed.storage?.files ?? []),
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
  const parsed = parseIgnition(config, source)
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
