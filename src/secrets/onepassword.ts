import { Fault, type FaultText } from '../runbook/fault.ts'
import type { Answer, SecretSource } from './source.ts'

export interface OnePasswordOptions {
  /** Name or id of the vault. Without it `op` searches every vault, which service accounts refuse. */
  vault?: string | undefined
  /** Where PATH, OP_SERVICE_ACCOUNT_TOKEN, OP_SESSION_… and the like come from. */
  env: NodeJS.ProcessEnv
  /** How long one question may take, in milliseconds; a person may have to unlock the desktop app meanwhile. */
  limit?: number
}

// Every failed question may cost a prompt on the person's desktop, and throttled ones count against the account's day.
const restAfterFailure = 60_000

/**
 * Secrets from 1Password through its CLI `op` (2.x), one item a secret. The value is read from `op`'s output and is
 * never in its arguments. Questions are asked one after the other; after one that failed as a whole, further ones get
 * the same Fault for a minute instead of another prompt.
 * Faults: `onepassword-cli-missing`, `onepassword-cli-old`, `onepassword-signed-out`, `onepassword-rate-limited`
 * (transient), `onepassword-unreachable` (transient), `onepassword-timeout`, `onepassword-vault-missing`,
 * `onepassword-ambiguous`, `onepassword-failed`; as missing: `onepassword-item-missing`, `onepassword-field-missing`.
 */
export function onePasswordSource(options: OnePasswordOptions): SecretSource {
  let queue: Promise<unknown> = Promise.resolve()
  let failure: { fault: Fault; until: number } | undefined
  const ask = async (secret: string, field: string): Promise<Answer> => {
    if (failure && performance.now() < failure.until) throw failure.fault
    failure = undefined
    try {
      return await askOp(secret, field, options)
    } catch (error) {
      // Two items of one name are that item's trouble; the others can still be asked for.
      if (error instanceof Fault && error.code !== 'onepassword-ambiguous')
        failure = { fault: error, until: performance.now() + restAfterFailure }
      throw error
    }
  }
  return {
    name: 'onepassword',
    label: '1Password',
    find(secret, field) {
      const answer = queue.then(() => ask(secret, field))
      queue = answer.catch(() => undefined)
      return answer
    },
  }
}

async function askOp(secret: string, field: string, options: OnePasswordOptions): Promise<Answer> {
  // `-` makes op read standard input, and `-x` would be a flag.
  if (secret.startsWith('-')) return { missing: itemMissing(secret, options.vault) }
  const { execa } = await import('execa')
  const limit = options.limit ?? 60_000
  const vault = options.vault === undefined ? [] : ['--vault', options.vault]
  const result = await execa(
    'op',
    ['item', 'get', secret, ...vault, '--fields', labelFilter(field), '--format', 'json', '--reveal'],
    {
      env: childEnvironment(options.env),
      extendEnv: false,
      // op takes a pipe on its standard input for a list of items.
      stdin: 'ignore',
      reject: false,
      timeout: limit,
      forceKillAfterDelay: 2000,
      // NODE_DEBUG=execa must not print what op answers.
      verbose: 'none',
    },
  )
  if (result.code === 'ENOENT' || result.code === 'EACCES')
    throw new Fault({
      code: 'onepassword-cli-missing',
      blame: 'operator',
      message: 'the 1Password CLI op is not installed: there is no program op in PATH',
      remedy: 'Install op (https://developer.1password.com/docs/cli/get-started) and sign in',
    })
  if (result.timedOut)
    throw new Fault({
      code: 'onepassword-timeout',
      blame: 'operator',
      message: `op gave no answer within ${Math.round(limit / 1000)} s`,
      remedy: 'Unlock 1Password and approve its prompt, then try again',
    })
  // Neither execa's error nor its message goes any further: both carry op's whole output.
  if (result.failed) return explain(result.stderr, secret, field, options)
  return valueIn(result.stdout, secret, field)
}

/** `label=NAME` for `--fields`, which op splits at commas as CSV. */
function labelFilter(field: string): string {
  const filter = `label=${field}`
  return /[",\n]/.test(filter) ? `"${filter.replaceAll('"', '""')}"` : filter
}

/**
 * What `op` gets to see: everything but our own secrets. A Connect server is taken out when there is a service account,
 * too: op would prefer it (https://developer.1password.com/docs/service-accounts/use-with-1password-cli), and it runs,
 * most often, in the very cluster that is down.
 */
function childEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) =>
        !name.startsWith('RECOVER_') &&
        !(env.OP_SERVICE_ACCOUNT_TOKEN && (name === 'OP_CONNECT_HOST' || name === 'OP_CONNECT_TOKEN')),
    ),
  )
}

interface OpField {
  id?: string
  value?: string
}

/** The value in what `op … --format json` printed: one field, or a list when several have the label. */
function valueIn(stdout: string, secret: string, field: string): Answer {
  let parsed: unknown
  try {
    parsed = JSON.parse(stdout)
  } catch {
    throw failed('op answered something that is not JSON')
  }
  const all = (Array.isArray(parsed) ? parsed : [parsed]).filter(
    (f): f is OpField => typeof f === 'object' && f !== null,
  )
  // The item's own username and password have these words as id; a field that a person added has a random one.
  const own = all.filter(f => f.id === field)
  const values = new Set((own.length > 0 ? own : all).map(f => f.value).filter(v => typeof v === 'string'))
  values.delete('')
  if (values.size > 1)
    throw new Fault({
      code: 'onepassword-ambiguous',
      blame: 'operator',
      message: `the 1Password item ${secret} has several fields ${field} with different values`,
      remedy: 'Rename all but one of them',
    })
  for (const value of values) {
    if (value.startsWith("[use 'op item get")) throw failed('op hid the value in spite of --reveal')
    return { value }
  }
  return { missing: fieldMissing(secret, field, 'is empty') }
}

/** Texts of op 2.x, matched loosely: they are meant for people and may change. */
function explain(stderr: string, secret: string, field: string, options: OnePasswordOptions): Answer {
  const line = firstLine(stderr)
  const said = line === '' ? 'without a word' : `and said: ${line}`
  const stop = (text: Omit<FaultText, 'message'> & { message?: string }): never => {
    throw new Fault({ message: `op failed ${said}`, ...text })
  }
  // Seen: "[ERROR] … (429) Too Many Requests: … Please retry in 58 minutes" (zcutlip/pyonepassword#137).
  if (/\(429\)|too many requests|rate.?limit/i.test(stderr))
    return stop({
      code: 'onepassword-rate-limited',
      blame: 'network',
      message: `1Password throttles this account; op said: ${line}`,
      remedy:
        'Wait as long as it says (`op service-account ratelimit` costs nothing), or let secrets.from go on to the sealed bundle',
      transient: true,
    })
  if (/isn't an item/i.test(stderr)) return { missing: itemMissing(secret, options.vault) }
  if (/isn't a field|(?:no|any) fields? (?:match|found)/i.test(stderr))
    return { missing: fieldMissing(secret, field, 'does not exist') }
  if (/isn't a vault/i.test(stderr))
    return stop({
      code: 'onepassword-vault-missing',
      blame: 'operator',
      message: `1Password shows you no vault ${options.vault ?? '(none named)'}`,
      remedy: 'Correct secrets.vault in recover.yaml, or give this account access (`op vault list`)',
    })
  if (/vault query must be provided/i.test(stderr))
    return stop({
      code: 'onepassword-vault-missing',
      blame: 'operator',
      message: 'a 1Password service account can only be asked for one vault, and none is named',
      remedy: 'Set secrets.vault in recover.yaml',
    })
  if (/more than one item/i.test(stderr))
    return stop({
      code: 'onepassword-ambiguous',
      blame: 'operator',
      message: `1Password has several items ${secret}`,
      remedy: 'Rename all but one of them, or set secrets.vault in recover.yaml',
    })
  if (/unknown flag/i.test(stderr))
    return stop({
      code: 'onepassword-cli-old',
      blame: 'operator',
      message: `op is too old: ${line}`,
      remedy: 'Update op (`op update`)',
    })
  if (
    /signed in|sign in|no accounts? configured|session expired|authorization (?:prompt|denied|timeout)|\(40[13]\)|service account token/i.test(
      stderr,
    )
  )
    return stop({
      code: 'onepassword-signed-out',
      blame: 'operator',
      message: `op is not signed in to 1Password, it said: ${line}`,
      remedy: 'Sign in (`eval $(op signin)`, or unlock the desktop app), or set OP_SERVICE_ACCOUNT_TOKEN',
    })
  if (
    /dial tcp|no such host|connection re|i\/o timeout|network is unreachable|deadline exceeded/i.test(stderr)
  )
    return stop({
      code: 'onepassword-unreachable',
      blame: 'network',
      message: `op cannot reach ${options.env.OP_CONNECT_HOST ? 'the 1Password Connect server' : '1Password'}, it said: ${line}`,
      remedy: options.env.OP_CONNECT_HOST
        ? 'Unset OP_CONNECT_HOST and OP_CONNECT_TOKEN if that server runs in the cluster, and sign in to op directly'
        : 'Check the way to the internet and DNS, or let secrets.from go on to the sealed bundle',
      transient: true,
    })
  throw failed(`op failed ${said}`)
}

/** The first line that op wrote, without its `[ERROR] 2023/06/26 11:55:32`, at most 200 characters. */
function firstLine(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map(l => l.trim())
    .filter(l => l !== '')
  const line = lines.find(l => l.startsWith('[ERROR]')) ?? lines[0] ?? ''
  return line
    .replace(/^\[ERROR\]\s*(?:\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d\s*)?/, '')
    .replace(/\.$/, '')
    .slice(0, 200)
}

function itemMissing(secret: string, vault: string | undefined): Fault {
  const where = vault === undefined ? 'any vault' : `the vault ${vault}`
  return new Fault({
    code: 'onepassword-item-missing',
    blame: 'operator',
    message: `there is no item ${secret} in ${where}`,
    remedy: `Create the item ${secret} in 1Password, or correct its name in recover.yaml`,
  })
}

function fieldMissing(secret: string, field: string, why: string): Fault {
  return new Fault({
    code: 'onepassword-field-missing',
    blame: 'operator',
    message: `the field ${field} of the item ${secret} ${why}`,
    remedy: `Fill in the field ${field} of the 1Password item ${secret}`,
  })
}

function failed(message: string): Fault {
  return new Fault({
    code: 'onepassword-failed',
    blame: 'operator',
    message,
    remedy: 'Run `op vault list` by hand and see what it says',
  })
}
