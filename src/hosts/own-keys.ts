import { existsSync, readFileSync } from 'node:fs'
import ssh2 from 'ssh2'

/**
 * Public keys that a person can log in with (`ssh-ed25519 AAAA…`): those of their agent, and that of a key file.
 * Undefined where nobody can tell: an agent that does not answer, a key behind a passphrase without its .pub beside.
 */
export async function ownKeys(login: {
  agent?: string
  privateKey?: string
  keyFile?: string
}): Promise<string[] | undefined> {
  const ofAgent = login.agent === undefined ? [] : await keysOfAgent(login.agent)
  const ofFile = login.privateKey === undefined ? [] : keyOfFile(login.privateKey, login.keyFile)
  return ofAgent && ofFile && [...ofAgent, ...ofFile]
}

function keysOfAgent(socket: string): Promise<string[] | undefined> {
  return new Promise(resolve => {
    const patience = setTimeout(() => resolve(undefined), 5_000)
    ssh2.createAgent(socket).getIdentities((error, keys) => {
      clearTimeout(patience)
      resolve(error ? undefined : (keys ?? []).flatMap(publicText))
    })
  })
}

function keyOfFile(privateKey: string, keyFile: string | undefined): string[] | undefined {
  const parsed = ssh2.utils.parseKey(privateKey)
  const [key] = parsed instanceof Error ? [] : [parsed].flat()
  if (key) return publicText(key)
  const beside = `${keyFile}.pub`
  return existsSync(beside) ? [readFileSync(beside, 'utf8').trim()] : undefined
}

function publicText(key: unknown): string[] {
  const blob = Buffer.isBuffer(key)
    ? key
    : ((key as { getPublicSSH?: () => Buffer }).getPublicSSH?.() ??
      (key as { pubKey?: { pubKey?: Buffer } }).pubKey?.pubKey)
  return blob ? [`${blob.toString('latin1', 4, 4 + blob.readUInt32BE(0))} ${blob.toString('base64')}`] : []
}
