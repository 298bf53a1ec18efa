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
 *
 * They come as the last of the configs that it merges: what is merged wins over what merges it, and the last one over
 * those before it, so that no config from elsewhere puts keys of its own in their place (RenderConfig in Ignition's
 * internal/exec/config_fetcher.go). Of two files of one path, though, the later one leaves what it does not say: an owner,
 * a hash, something appended. A link in between takes the earlier file away, and the file that comes then the link.
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
  const marks = [
    { links: own.map(({ path }) => ({ path, overwrite: true, target: '/dev/null' })) },
    {
      files: own.map(({ path, mode, text }) => ({
        path,
        mode,
        overwrite: true,
        contents: { source: dataUrl(text) },
      })),
    },
  ].map(storage => {
    const { version } = parsed.ignition
    return { source: dataUrl(JSON.stringify({ ignition: { version }, storage })) }
  })
  const merge = [...(parsed.ignition.config?.merge ?? []), ...marks]
  const text = JSON.stringify({
    ...parsed,
    ignition: { ...parsed.ignition, config: { ...parsed.ignition.config, merge } },
  })
  return { text, sha256: createHash('sha256').update(text).digest('hex') }
}

function dataUrl(text: string): string {
  return `data:;base64,${Buffer.from(text).toString('base64')}`
}

/** Parses a config and refuses what would leave a machine that nobody can log in to. */
export function checkIgnition(config: string, source: string): IgnitionConfig {
  const parsed = parseIgnition(config, source)
  const users = parsed.passwd?.users ?? []
  const merges = (parsed.ignition.config?.merge ?? []).length > 0
  // What is merged may have the key; preflight looks into it as far as it can be seen.
  if (!merges && !users.some(u => (u.sshAuthorizedKeys?.length ?? 0) > 0))
    throw new Fault({
      code: 'ignition-no-login',
      blame: 'operator',
      message: `${source} gives no user an SSH key: nobody could log in to the machine that it makes`,
      remedy: 'Add sshAuthorizedKeys to a user (passwd.users), with a key that you hold',
      at: source,
    })
  return parsed
}
