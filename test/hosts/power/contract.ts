import { describe, expect, test } from 'vitest'
import type { MachineIdentity, PowerWriter } from '../../../src/hosts/power/power.ts'

/** One machine and whoever switches it, with a way to see the truth past it. */
export interface PowerSubject {
  power: PowerWriter
  identity: MachineIdentity
  /** What the machine really does, seen without the code under test. */
  really: {
    on(): boolean | Promise<boolean>
    /** Where it would boot from; undefined for its usual place. */
    bootsFrom(): string | undefined | Promise<string | undefined>
    media(): string | undefined | Promise<string | undefined>
  }
  /** The same place to boot from, in the subject's own words. */
  words: Record<'pxe' | 'cd' | 'disk', string | undefined>
  /** How long an order for the next boot lasts there. */
  lasts: 'once' | 'until-cleared'
  /** An image that a virtual drive can fetch. */
  image?: string
  close(): Promise<void>
}

/**
 * What every power method that can be asked must do, whoever is behind it: the lab's emulators, and the programs that they
 * stand for. The machine is off at first.
 */
export function powerContract(what: string, open: () => Promise<PowerSubject>): void {
  describe(what, () => {
    const subject = async <T>(
      use: (subject: PowerSubject, signal: AbortSignal) => Promise<T>,
    ): Promise<T> => {
      const it = await open()
      try {
        return await use(it, AbortSignal.timeout(110_000))
      } finally {
        await it.close()
      }
    }

    test('says which machine it is, and whether it is on', () =>
      subject(async ({ power, identity }, signal) => {
        expect(await power.identity(signal)).toEqual(identity)
        expect(await power.state(signal)).toBe('off')
      }))

    test('switches on, off and on again, and is believed only when it is so', () =>
      subject(async ({ power, really }, signal) => {
        await power.turnOn(signal)
        expect(await really.on()).toBe(true)
        expect(await power.state(signal)).toBe('on')
        await power.turnOn(signal)
        expect(await really.on()).toBe(true)
        await power.restart(signal)
        expect(await really.on()).toBe(true)
        await power.turnOff('gracefully', signal)
        expect(await really.on()).toBe(false)
        await power.turnOff('now', signal)
        expect(await power.state(signal)).toBe('off')
        await power.restart(signal)
        expect(await really.on()).toBe(true)
        await power.turnOff('now', signal)
        expect(await really.on()).toBe(false)
      }))

    test('orders the next boot, reads it back, and takes it back', () =>
      subject(async ({ power, really, words, lasts }, signal) => {
        for (const target of ['pxe', 'cd', 'disk'] as const) {
          expect(await power.bootNext(target, signal)).toEqual({ lasts })
          expect(await really.bootsFrom()).toBe(words[target])
        }
        await power.bootNext('pxe', signal)
        await power.clearBootNext(signal)
        expect(await really.bootsFrom()).not.toBe(words.pxe)
        await power.clearBootNext(signal)
        expect(await really.on()).toBe(false)
      }))

    test('puts an image into the virtual drive and takes it out, or says that it cannot', () =>
      subject(async ({ power, really, image }, signal) => {
        if (image === undefined) {
          expect(power.can.media).toBe(false)
          const refusal = { code: 'power-not-offered' }
          await expect(power.insertMedia('http://127.0.0.1:9/x.iso', signal)).rejects.toMatchObject(refusal)
          await expect(power.ejectMedia(signal)).rejects.toMatchObject(refusal)
          return
        }
        await power.insertMedia(image, signal)
        expect(await really.media()).toContain(image)
        await power.insertMedia(image, signal)
        await power.insertMedia(`${image}?other`, signal)
        expect(await really.media()).toContain('?other')
        await power.ejectMedia(signal)
        expect(await really.media()).toBeUndefined()
        await power.ejectMedia(signal)
      }))

    test('stops at once when it is told to', () =>
      subject(async ({ power, really }) => {
        const stop = new AbortController()
        stop.abort(new Error('enough'))
        await expect(power.turnOn(stop.signal)).rejects.toThrow('enough')
        await expect(power.bootNext('pxe', stop.signal)).rejects.toThrow('enough')
        expect(await really.on()).toBe(false)
      }))
  })
}
