import { fileURLToPath } from 'node:url'

/** Where a program of the lab's lies, built: `main.js`, `k0sctl/main.js`. Tests run from the sources, which Node cannot. */
export function labProgram(name: string): string {
  const built = import.meta.url.endsWith('.ts') ? '../../dist/src/lab/' : './'
  return fileURLToPath(new URL(`${built}${name}`, import.meta.url))
}
