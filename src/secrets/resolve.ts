import { statSync } from 'node:fs'
import { Fault } from '../runbook/fault.ts'
import { bundleSource } from './bundle.ts'
import { environmentSource, variableOf } from './environment.ts'
import { fileSource } from './file.ts'
import { Mask } from './mask.ts'
import { onePasswordSource } from './onepassword.ts'
import type { SecretSource, SourceName } from './source.ts'

export interface SecretsOptions {
  /** The sources, in the order in which they are asked. */
  from: readonly SourceName[]
  /** 1Password's vault. */
  vault?: string | undefined
  /** Absolute path of the bundle or of the secrets file. */
  file?: string | undefined
  /**
   * What stands in the open anyway (names of hosts): a secret that is a part of it is not masked, since masking it would
   * make the journal unreadable, for a resume as for a person.
   */
  open?: readonly string[] | undefined
  /** The environment of this process, if nothing else is said. */
  env?: NodeJS.ProcessEnv | undefined
}

/** Everything secret that a run may ask for. A value is asked for once and then kept in memory, nowhere else. */
export interface Secrets {
  /**
   * The value of a field, from the first source that knows it. Fault `secret-missing` when none does, saying why for
   * each; `secret-file-readable` at once, whatever other sources know.
   */
  field(secret: string, field: string): Promise<string>
  /**
   * Whether any source knows the field. `false` only when every source could be asked: when one could not (locked,
   * throttled), nobody can tell, and `secret-missing` is thrown as by `field`.
   */
  has(secret: string, field: string): Promise<boolean>
  /**
   * Whether the sealed bundle, which is for the day when nothing else answers, opens and holds all of these; undefined
   * where `secrets.from` has none.
   */
  sealed(wanted: readonly { secret: string; field: string }[]): Promise<SealedState | undefined>
  /** Knows every value that was handed out, and what opens the sources. */
  readonly mask: Mask
}

/** The sealed bundle as it is today. */
export interface SealedState {
  file: string
  /** When the file was last written. */
  written: Date
  /** Fields that it does not hold: `nas.password`. */
  lacks: string[]
  /** Why it cannot be opened. */
  locked?: Fault
}

/**
 * Opens the sources of recover.yaml's `secrets`; asks none of them yet.
 * Fault `secret-sources-invalid` when a source lacks what it needs.
 */
export function openSecrets(options: SecretsOptions): Secrets {
  const env = options.env ?? process.env
  const sources = [...new Set(options.from)].map(name => open(name, options, env))
  const mask = new Mask()
  for (const [name, value] of Object.entries(env)) if (value && opensSources(name)) mask.register(value)
  const known = new Map<string, Promise<Found>>()

  const find = (secret: string, field: string): Promise<Found> => {
    const key = JSON.stringify([secret, field])
    const before = known.get(key)
    if (before !== undefined) return before
    const asked = ask(sources, secret, field, mask, options.open ?? [])
    known.set(key, asked)
    // Only values are kept: what is missing now may be there once the person has signed in.
    const forget = () => known.delete(key)
    asked.then(found => 'value' in found || forget(), forget)
    return asked
  }

  const bundle = sources.find(s => s.name === 'bundle')
  return {
    mask,
    async sealed(wanted) {
      const { file } = options
      if (bundle === undefined || file === undefined) return undefined
      const state: SealedState = {
        file,
        written: statSync(file, { throwIfNoEntry: false })?.mtime ?? new Date(0),
        lacks: [],
      }
      try {
        for (const { secret, field } of wanted) {
          const found = await ask([bundle], secret, field, mask, options.open ?? [])
          if ('value' in found) continue
          if (!found.certain) throw found.cause
          state.lacks.push(`${secret}.${field}`)
        }
        return state
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown
        return { ...state, locked: thrown }
      }
    },
    async field(secret, field) {
      const found = await find(secret, field)
      if ('value' in found) return found.value
      throw found.missing
    },
    async has(secret, field) {
      const found = await find(secret, field)
      if ('value' in found) return true
      if (found.certain) return false
      throw found.missing
    },
  }
}

/** `certain`: every source could be asked. */
type Found =
  | { value: string }
  | { missing: Fault; certain: true }
  | { missing: Fault; certain: false; cause: Fault }

async function ask(
  sources: readonly SecretSource[],
  secret: string,
  field: string,
  mask: Mask,
  open: readonly string[],
): Promise<Found> {
  const reasons: { source: SecretSource; fault: Fault }[] = []
  let cause: Fault | undefined
  for (const source of sources) {
    try {
      const answer = await source.find(secret, field)
      if ('value' in answer) {
        // An account's name is no secret, and masking a word like `admin` everywhere would make the journal unreadable.
        if (field !== 'username' && !open.some(text => text.includes(answer.value)))
          mask.register(answer.value)
        return answer
      }
      reasons.push({ source, fault: answer.missing })
    } catch (error) {
      // An exposed secret is for the person to mend, not to be stepped over because another source answers.
      if (!(error instanceof Fault) || error.code === 'secret-file-readable') throw error
      cause ??= error
      reasons.push({ source, fault: error })
    }
  }
  const known = missing(secret, field, reasons, mask)
  return cause ? { missing: known, certain: false, cause } : { missing: known, certain: true }
}

function missing(
  secret: string,
  field: string,
  reasons: readonly { source: SecretSource; fault: Fault }[],
  mask: Mask,
): Fault {
  const variable = variableOf(secret, field)
  const why = reasons.map(({ source, fault }) => `${source.label}: ${fault.message}${placeOf(fault)}`)
  const others = reasons.filter(r => r.source.name !== 'environment').map(r => r.fault.remedy)
  const remedies = reasons.some(r => r.source.name === 'environment')
    ? [`Set ${variable} in the environment`, ...others]
    : [...others, `Put environment into secrets.from of recover.yaml and set ${variable}`]
  return new Fault({
    code: 'secret-missing',
    blame: 'operator',
    message: mask.text(`the field ${field} of the secret ${secret} is not known (${why.join('; ')})`),
    remedy: mask.text(remedies.join('; or: ')),
    transient: reasons.some(r => r.fault.transient),
  })
}

function placeOf(fault: Fault): string {
  return fault.at === undefined ? '' : ` at ${fault.at}`
}

function open(name: SourceName, options: SecretsOptions, env: NodeJS.ProcessEnv): SecretSource {
  if (name === 'environment') return environmentSource(env)
  if (name === 'onepassword') return onePasswordSource({ vault: options.vault, env })
  if (options.file === undefined)
    throw invalid(`the secret source ${name} needs a file`, 'Set secrets.file in recover.yaml')
  if (options.from.includes('bundle') && options.from.includes('file'))
    throw invalid(
      'secrets.from names both bundle and file, and secrets.file can only be one of them',
      'Take one of them out of secrets.from in recover.yaml',
    )
  return name === 'bundle' ? bundleSource(options.file, env) : fileSource(options.file)
}

function invalid(message: string, remedy: string): Fault {
  return new Fault({ code: 'secret-sources-invalid', blame: 'operator', message, remedy })
}

/** Variables whose value opens a source and must not be shown either. */
function opensSources(name: string): boolean {
  return /^(?:RECOVER_BUNDLE_PASSPHRASE|OP_SERVICE_ACCOUNT_TOKEN|OP_CONNECT_TOKEN|OP_SESSION.*)$/.test(name)
}
