import { readFileSync } from 'node:fs'
import { Fault } from '../runbook/fault.ts'
import { absent, ContentProblem, checkContent, findIn, parseContent, type SecretContent } from './content.ts'
import { readPrivateFile, unreadable } from './private-file.ts'
import type { SecretSource } from './source.ts'

/**
 * What opens a bundle again: a passphrase, or the identity of one of the recipients (`age1…`). Each attempt at a
 * passphrase costs 2^`logN` steps of scrypt, 18 by default as with the age program: a second or two.
 */
export type BundleKey = { passphrase: string; logN?: number } | { recipients: readonly string[] }

const passphraseVariable = 'RECOVER_BUNDLE_PASSPHRASE'
const identityVariable = 'RECOVER_BUNDLE_IDENTITY'
const armorBegin = '-----BEGIN AGE ENCRYPTED FILE-----'

// The library recommends at least 8 to 10 random characters: whoever gets the file can guess offline.
const shortestPassphrase = 8

/**
 * Secrets from a JSON file sealed with age (https://age-encryption.org/v1), binary or armored. It is opened once, on
 * the first question, with the passphrase in RECOVER_BUNDLE_PASSPHRASE or the identity file that RECOVER_BUNDLE_IDENTITY
 * names; with both set, either may fit. Opening with a passphrase takes a second or two: scrypt is slow by design.
 * Faults: `bundle-key-missing`, `bundle-identity-invalid`, `bundle-locked` (the key does not fit), `bundle-damaged`,
 * `secret-file-readable` (the identity file), `secret-file-unreadable`.
 */
export function bundleSource(file: string, env: NodeJS.ProcessEnv): SecretSource {
  let opening: Promise<SecretContent | undefined> | undefined
  return {
    name: 'bundle',
    label: 'sealed bundle',
    async find(secret, field) {
      opening ??= openFile(file, env)
      const content = await opening
      if (content === undefined)
        return absent(
          file,
          `Seal one with the age program, \`age -p -o ${file} secrets.json\`, or correct secrets.file`,
        )
      return findIn(content, file, secret, field)
    },
  }
}

async function openFile(file: string, env: NodeJS.ProcessEnv): Promise<SecretContent | undefined> {
  let sealed: Uint8Array
  try {
    sealed = readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unreadable(file, error)
  }
  const age = await import('age-encryption')
  const decrypter = new age.Decrypter()
  const passphrase = env[passphraseVariable]
  const identityFile = env[identityVariable]
  if (!passphrase && !identityFile)
    throw new Fault({
      code: 'bundle-key-missing',
      blame: 'operator',
      message: `${file} is sealed, and neither ${passphraseVariable} nor ${identityVariable} is set`,
      remedy: `Set ${passphraseVariable} to the passphrase, or ${identityVariable} to the path of the age identity file`,
    })
  if (passphrase) decrypter.addPassphrase(passphrase)
  if (identityFile)
    for (const [number, identity] of identitiesOf(identityFile)) {
      try {
        decrypter.addIdentity(identity)
      } catch {
        // The library's error quotes the identity, which is the secret itself.
        throw identityInvalid(identityFile, `line ${number} is not an age identity (AGE-SECRET-KEY-…)`)
      }
    }
  let text: string
  try {
    text = await decrypter.decrypt(unarmored(sealed, age.armor.decode), 'text')
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('no identity matched'))
      throw new Fault({
        code: 'bundle-locked',
        blame: 'operator',
        message: `${file} does not open with ${[passphrase && passphraseVariable, identityFile && identityVariable].filter(Boolean).join(' or ')}`,
        remedy: `Set ${passphraseVariable} or ${identityVariable} to what ${file} was sealed with`,
      })
    throw damaged(file, 'it is not an intact age file', error)
  }
  try {
    return parseContent(text)
  } catch (error) {
    if (error instanceof ContentProblem) throw damaged(file, `what it holds is ${error.message}`)
    throw error
  }
}

/** Lines of an identity file with their numbers, without comments and blank lines, as `age-keygen` writes it. */
function identitiesOf(file: string): [number: number, identity: string][] {
  const text = readPrivateFile(file)
  if (text === undefined) throw identityInvalid(file, 'there is no such file')
  const identities = text
    .split(/\r?\n/)
    .map((line, index): [number, string] => [index + 1, line.trim()])
    .filter(([, line]) => line !== '' && !line.startsWith('#'))
  if (identities.length === 0) throw identityInvalid(file, 'it holds no identity')
  return identities
}

function unarmored(sealed: Uint8Array, decode: (text: string) => Uint8Array): Uint8Array {
  const text = Buffer.from(sealed).toString('latin1')
  return text.trimStart().startsWith(armorBegin) ? decode(text) : sealed
}

function identityInvalid(file: string, why: string): Fault {
  return new Fault({
    code: 'bundle-identity-invalid',
    blame: 'operator',
    message: `${identityVariable} names ${file}: ${why}`,
    remedy: `Set ${identityVariable} to the path of an identity file as age-keygen writes it`,
  })
}

function damaged(file: string, why: string, cause?: unknown): Fault {
  return new Fault({
    code: 'bundle-damaged',
    blame: 'operator',
    message: `${file} cannot be opened: ${why}`,
    remedy: 'Take another copy of the bundle, or seal it anew while the secrets can still be had',
    ...(cause === undefined ? {} : { cause }),
  })
}

/**
 * Seals secrets into an armored age file (text, so that it can be printed or kept in Git); `age -d` opens it, too.
 * Recipients may be X25519 (`age1…`) or post-quantum (`age1pq1…`) ones. Nothing is written to the disk.
 * Faults: `bundle-passphrase-weak`, `bundle-recipient-invalid`, `bundle-content-invalid`.
 */
export async function sealBundle(content: SecretContent, key: BundleKey): Promise<string> {
  const text = JSON.stringify(checked(content))
  const age = await import('age-encryption')
  const encrypter = new age.Encrypter()
  if ('passphrase' in key) {
    if (key.passphrase.length < shortestPassphrase)
      throw new Fault({
        code: 'bundle-passphrase-weak',
        blame: 'operator',
        message: `the passphrase for the sealed bundle is shorter than ${shortestPassphrase} characters`,
        remedy: 'Choose five random words or more; whoever finds the file can guess as often as they like',
      })
    encrypter.setPassphrase(key.passphrase)
    if (key.logN !== undefined) encrypter.setScryptWorkFactor(key.logN)
  } else {
    if (key.recipients.length === 0) throw recipientInvalid('no recipient is named')
    for (const [index, recipient] of key.recipients.entries()) {
      try {
        encrypter.addRecipient(recipient)
      } catch {
        // Not quoted: what was put here by mistake is, most often, the secret key.
        throw recipientInvalid(`recipient ${index + 1} of ${key.recipients.length} is not an age recipient`)
      }
    }
  }
  return age.armor.encode(await encrypter.encrypt(text))
}

function checked(content: SecretContent): SecretContent {
  try {
    return checkContent(content)
  } catch (error) {
    if (!(error instanceof ContentProblem)) throw error
    throw new Fault({
      code: 'bundle-content-invalid',
      blame: 'bug',
      message: `what is to be sealed is invalid: ${error.message}`,
      remedy: 'Report it; nothing was sealed',
    })
  }
}

function recipientInvalid(why: string): Fault {
  return new Fault({
    code: 'bundle-recipient-invalid',
    blame: 'operator',
    message: `the bundle cannot be sealed: ${why}`,
    remedy: 'Name recipients as age-keygen prints them: age1…',
  })
}
