import { fingerprintOf } from '../keys.ts'
import { type IgnitionConfig, inlineText } from './config.ts'
import type { Finding } from './findings.ts'

/**
 * Whether the person could log in to the machine that a config makes.
 * @param user by whom recover logs in
 * @param held public keys that the person holds (`ssh-ed25519 AAAA…`); undefined where nobody can tell
 * @param unseen it merges a config that cannot be looked into
 */
export function loginFindings(
  config: IgnitionConfig,
  shown: string,
  user: string,
  held: readonly string[] | undefined,
  unseen = false,
): Finding[] {
  const keys = (config.passwd?.users ?? [])
    .filter(u => u.name === user)
    .flatMap(u => u.sshAuthorizedKeys ?? [])
  if (keys.length === 0)
    return unseen || otherWayIn(config, user)
      ? [
          {
            severity: 'warning',
            code: 'ignition-login-unknown',
            blame: 'operator',
            message: `${shown} gives ${user} no SSH key, and lets people in by ${unseen ? 'what it merges at most' : 'a file or a command of its own'}; whether that lets you in cannot be said`,
            remedy: `Add a key that you hold to ${user} (ssh_authorized_keys), at least for the recovery`,
            at: shown,
          },
        ]
      : [
          {
            severity: 'refusal',
            code: 'ignition-no-login',
            blame: 'operator',
            message: `${shown} gives ${user}, by whom recover logs in, no SSH key: nobody could log in to the machine that it makes`,
            remedy: `Add a key that you hold to ${user} (ssh_authorized_keys), or name another hosts.….user in recover.yaml`,
            at: shown,
          },
        ]
  if (held === undefined || held.length === 0) return []
  const blobs = new Set(held.map(blobOf))
  if (keys.some(key => blobs.has(blobOf(key)))) return []
  return [
    {
      severity: 'refusal',
      code: 'ignition-key-not-held',
      blame: 'operator',
      message: `${shown} lets ${user} in with ${keys.map(nameOf).join(', ')}, and you hold ${held.map(nameOf).join(', ')}: you could not log in to the machine that it makes`,
      remedy: `Add your key to ${user} (ssh_authorized_keys), or add the other key to your agent (ssh-add)`,
      at: shown,
    },
  ]
}

/** A file of keys, a certificate authority or a command that finds keys, in files and in sshd's own config. */
function otherWayIn({ storage }: IgnitionConfig, user: string): boolean {
  return (storage?.files ?? []).some(
    file =>
      file.path?.startsWith(`/home/${user}/.ssh/authorized_keys`) ||
      (file.path?.startsWith('/etc/ssh/') &&
        /^\s*(?:TrustedUserCAKeys|AuthorizedKeysCommand|AuthorizedKeysFile)\s/im.test(
          inlineText(file.contents) ?? '',
        )),
  )
}

/** The key itself, behind options such as `from="…"`. */
function blobOf(line: string): string {
  return /(?:^|\s)(?:ssh-|ecdsa-|sk-)\S+\s+(AAAA[A-Za-z0-9+/=]+)/.exec(line)?.[1] ?? line
}

function nameOf(line: string): string {
  const blob = blobOf(line)
  const comment = line.slice(line.indexOf(blob) + blob.length).trim()
  const fingerprint = blob.startsWith('AAAA') ? fingerprintOf(Buffer.from(blob, 'base64')) : 'what is no key'
  return comment ? `${fingerprint} (${comment})` : fingerprint
}
