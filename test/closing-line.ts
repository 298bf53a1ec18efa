import type { Reporter, TestModule } from 'vitest/node'

/** Ends every test run in one line that a script can read: `N passed, N failed, N skipped`. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandled.length, skipped: 0 }
    const skipped: string[] = []
    for (const module of modules) {
      // A file that does not even load has no test to count, and must not look like success.
      if (module.errors().length > 0) count.failed += 1
      for (const test of module.children.allTests()) {
        const state = test.result().state
        if (state === 'passed' || state === 'failed') count[state] += 1
        else {
          count.skipped += 1
          skipped.push(`skipped: ${test.fullName}`)
        }
      }
    }
    for (const line of skipped) process.stdout.write(`${line}\n`)
    process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`)
  }
}
