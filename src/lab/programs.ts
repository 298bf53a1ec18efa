import { fileURLToPath } from 'node:url'

/**
 * Where a program of the lab's lies, built: `lab` is the lab's own process, `k0sctl` and `ipmitool` stand in
 * for the programs of these names. Tests run from the sources, which Node cannot.
 */
export function labProgram(name: 'lab' | 'k0sctl' | 'ipmitool'): string {
  const built = import.meta.url.endsWith('.ts') ? '../../dist/bundle/' : '../../bundle/'
  return fileURLToPath(new URL(`${built}${name}.js`, import.meta.url))
}
