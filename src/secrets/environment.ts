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

/** Secrets from environment variables. One that is set to nothing counts as not set. */
export function environmentSource(env: NodeJS.ProcessEnv): SecretSource {
  return {
    name: 'environment',
    label: 'environment',
    async find(secret, field) {
      const variable = variableOf(secret, field)
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
