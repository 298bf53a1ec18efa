/** Ctrl-C (or SIGTERM) once asks to stop after the current action, twice to stop at once. */
export function stopSignals(): { stop: AbortSignal; now: AbortSignal; release(): void } {
  const stop = new AbortController()
  const now = new AbortController()
  const onSignal = () => (stop.signal.aborted ? now.abort() : stop.abort())
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    stop: stop.signal,
    now: now.signal,
    release() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}
