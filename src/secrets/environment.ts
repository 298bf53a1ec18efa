import { Fault } from '../runbook/fault.ts'
import type { SecretSource } from './source.ts'

/**
 * The environment variable of a field: `nas` and `password` give RECOVER_SECRET_NAS_PASSWORD. Names that differ only
 * in punctuation or case share a variable.
 */
export function variableOf(secret: string, field: string): string {
  const part = (text: string) => text.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')
  return `RECOVER_SECRET_${part(secret)}_${part(field)}`
}

/** The secret whose fields are the variables of Butane files: `${CLOUDFLARE_TOKEN}` is its field CLOUDFLARE_TOKEN. */
export const variablesSecret = 'ignition'

/** What every shell sets of its own: such a name in a Butane file means the machine's, not this computer's. */
const ofEveryShell =
  /^(?:HOME|PATH|USER|LOGNAME|SHELL|PWD|OLDPWD|HOSTNAME|LANG|LC_.*|TERM|TMPDIR|UID|EUID|PPID|RANDOM|EDITOR|MAIL|DISPLAY|XDG_.*|SSH_.*|SUDO_.*|NODE_.*|npm_.*|SHLVL|IFS|_)$/

/**
 * Secrets from environment variables. One that is set to nothing counts as not set. The variables of Butane files are
 * also found under their own names, as `envsubst` finds them, except those that every shell sets.
 */
export function environmentSource(env: NodeJS.ProcessEnv): SecretSource {
  return {
    name: 'environment',
    label: 'environment',
    async find(secret, field) {
      const own = secret === variablesSecret && !ofEveryShell.test(field)
      const variable = own && !env[variableOf(secret, field)] ? field : variableOf(secret, field)
      const value = env[variable]
      if (value) return { value }
      return {
        missing: new Fault({
          code: 'secret-variable-unset',
          blame: 'operator',
          message: `${variable} is ${value === undefined ? 'not set' : 'empty'}`,
          remedy: `Set ${variable} in the environment`,
        }),
      }
    },
  }
}
