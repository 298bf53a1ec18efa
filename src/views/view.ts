import type { RunEvent } from '../runbook/events.ts'

/** Draws a run's events. Must never throw into the run. */
export interface View {
  event(event: RunEvent): void
  close(): Promise<void>
}

/** Where a view writes, and how wide it may. */
export interface Paper {
  write(text: string): void
  columns: number
  colour: boolean
}

/** Several views of one run. */
export function together(...views: View[]): View {
  return {
    event(event) {
      for (const view of views) view.event(event)
    },
    async close() {
      await Promise.all(views.map(v => v.close()))
    },
  }
}
