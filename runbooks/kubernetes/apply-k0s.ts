import type { Writers } from '../kit.ts'

/** Has k0sctl install what the controllers, or all hosts, lack. Throws the Fault that names what is wrong. */
export async function applyK0s(
  which: 'controllers' | 'all',
  { k0sctl, signal, note }: Pick<Writers, 'k0sctl'> & { signal: AbortSignal; note: (text: string) => void },
): Promise<void> {
  const wrong = await k0sctl.apply(which, {}, signal, note)
  // A kill between `k0s install` and the unit's start leaves this behind; --force installs over it and is right only here.
  const still =
    wrong && /has been installed as a service/.test(wrong.message)
      ? await k0sctl.apply(which, { force: true }, signal, note)
      : wrong
  if (still) throw still
}
