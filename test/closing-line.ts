import { appendFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import type { Reporter, TestModule } from 'vitest/node'

/** Tests that look at material beside the checkout, or need a program that no registry has; no machine can be asked for it. */
const mayBeSkipped = /real repository|real k0sctl|real synology-csi/

/**
 * Ends every test run in one line that a script can read: `N passed, N failed, N skipped`. With RECOVER_NO_SKIP set, as
 * in CI, a test that was skipped although this machine could be made to run it counts as failed. RECOVER_TALLY names a
 * file to which the three numbers are added as a line.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 }
    const failed = (what: string, errors: readonly unknown[] = []) => {
      count.failed += 1
      if (!process.env.RECOVER_FAILURES) return
      const messages = errors.map(error => `  ${text(error).slice(0, 2000).replaceAll('\n', '\n  ')}\n`)
      appendFileSync(process.env.RECOVER_FAILURES, `${what}\n${messages.join('')}`)
    }
    for (const error of unhandled) failed('an error that no test caught', [error])
    for (const module of modules) {
      // A file that does not even load has no test to count, and must not look like success.
      if (module.errors().length > 0) failed(module.relativeModuleId, module.errors())
      // Nor must a group whose preparation failed: its tests count as skipped.
      for (const suite of module.children.allSuites())
        if (suite.errors().length > 0) failed(`${module.relativeModuleId}: ${suite.fullName}`, suite.errors())
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result()
        if (state === 'passed') count.passed += 1
        else if (state === 'failed') failed(`${module.relativeModuleId}: ${test.fullName}`, errors)
        else if (process.env.RECOVER_NO_SKIP && !mayBeSkipped.test(test.fullName)) {
          failed(`${module.relativeModuleId}: ${test.fullName}: skipped, which this machine could have run`)
          process.stdout.write(`skipped, which this machine could have run: ${test.fullName}\n`)
          process.exitCode = 1
        } else {
          count.skipped += 1
          process.stdout.write(`skipped: ${test.fullName}\n`)
        }
      }
    }
    const { passed, skipped } = count
    if (process.env.RECOVER_TALLY)
      appendFileSync(process.env.RECOVER_TALLY, `${passed} ${count.failed} ${skipped}\n`)
    process.stdout.write(`\n${passed} passed, ${count.failed} failed, ${skipped} skipped\n`)
  }
}

/** What an error says, where in our own files, and what was expected; a test runner hands on an object that was an Error. */
function text(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  const { stack, message, diff } = error as Readonly<Record<'stack' | 'message' | 'diff', string | undefined>>
  const where = (stack ?? '')
    .split('\n')
    .filter(line => /^\s+at /.test(line) && !line.includes('node_modules'))
  return [message, ...where, diff ? stripVTControlCharacters(diff) : undefined].filter(Boolean).join('\n')
}
