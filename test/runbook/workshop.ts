import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { phase, runbook } from '../../src/runbook/runbook.ts'
import { blocked, done, due, kit } from '../../src/runbook/step.ts'

/**
 * A runbook of something else entirely: a potter clears shelves and fills them with pots. Its world is a folder, so
 * that the process can be killed anywhere and the world compared afterwards.
 */
export class WorkshopReader {
  protected readonly dir: string
  constructor(dir: string) {
    this.dir = dir
  }
  shelves(): string[] {
    return JSON.parse(readFileSync(join(this.dir, 'shelves.json'), 'utf8')) as string[]
  }
  serial(shelf: string): string {
    return this.read(`${shelf}.serial`) ?? 'none'
  }
  on(shelf: string): string[] {
    return readdirSync(this.dir)
      .filter(f => f.startsWith(`${shelf}-`))
      .sort()
  }
  read(name: string): string | undefined {
    const path = join(this.dir, name)
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined
  }
}

export class WorkshopWriter extends WorkshopReader {
  /** Called before and after every single change; the crash test ends the process there. */
  private readonly onTouch: () => void
  constructor(dir: string, onTouch: () => void = () => {}) {
    super(dir)
    this.onTouch = onTouch
  }
  write(name: string, text: string): void {
    this.touch(`write ${name}`, () => writeFileSync(join(this.dir, name), text))
  }
  remove(name: string): void {
    this.touch(`remove ${name}`, () => rmSync(join(this.dir, name)))
  }
  private touch(what: string, change: () => void): void {
    this.onTouch()
    change()
    appendFileSync(join(this.dir, 'touched.log'), `${what}\n`)
    this.onTouch()
  }
}

const { step, fanOutFrom } = kit<{ workshop: WorkshopReader }, { workshop: WorkshopWriter }>()
const bounds = { expected: '10ms', limit: '5s' } as const
const nothing = z.strictObject({})

export const lookAround = step({
  id: 'prepare/look-around',
  title: 'Look around',
  danger: 'reads',
  bounds,
  output: z.strictObject({ shelves: z.array(z.string()) }),
  async observe({ workshop }) {
    const shelves = workshop.shelves()
    return done({ shelves }, `${shelves.length} shelves`)
  },
})

export const shutTheShop = step({
  id: 'prepare/shut-the-shop',
  title: 'Shut the shop',
  danger: 'changes',
  bounds,
  holdsUntil: 'finish/open-the-shop',
  output: nothing,
  async observe({ workshop }) {
    return workshop.read('sign') === 'shut' ? done({}, 'the sign says shut') : due('hang out the sign "shut"')
  },
  async apply({ workshop }) {
    workshop.write('sign', 'shut')
  },
})

export const shelves = fanOutFrom(lookAround, {
  name: 'shelf',
  schema: z.string(),
  key: shelf => shelf,
  subjects: found => found.shelves,
})

export const clearShelf = step({
  id: 'shelves/clear',
  title: shelf => `Clear shelf ${shelf}`,
  each: shelves,
  needs: [shutTheShop],
  danger: 'destroys',
  bounds,
  uses: () => ['hands'],
  output: z.strictObject({ serial: z.string() }),
  async observe({ shelf, workshop }) {
    if (workshop.read('fire')) return blocked('on-fire', 'the workshop burns', 'Put out the fire')
    return workshop.read(`${shelf}.owner`) === 'potter'
      ? done({ serial: workshop.serial(shelf) }, `shelf ${shelf} is the potter’s`)
      : due(`throw away what is on ${shelf}`)
  },
  async victims({ shelf, workshop }) {
    return [
      {
        kind: 'shelf',
        name: shelf,
        identity: { serial: workshop.serial(shelf) },
        content: workshop.on(shelf),
      },
    ]
  },
  async apply({ shelf, workshop }) {
    for (const thing of workshop.on(shelf)) workshop.remove(thing)
    workshop.write(`${shelf}.owner`, 'potter')
  },
})

export const makePot = step({
  id: 'shelves/make-pot',
  title: shelf => `Make a pot for ${shelf}`,
  each: shelves,
  needs: [clearShelf],
  danger: 'changes',
  bounds,
  output: z.strictObject({ pot: z.string() }),
  async observe({ shelf, workshop, output }) {
    const pot = `pot for ${shelf} ${output(clearShelf).serial}, fired`
    return workshop.read(`${shelf}-pot`) === pot
      ? done({ pot }, pot)
      : due(`throw and fire a pot for ${shelf}`)
  },
  async apply({ shelf, workshop, output, note }) {
    const { serial } = output(clearShelf)
    workshop.write(`${shelf}-pot`, `pot for ${shelf} ${serial}`)
    note('firing')
    workshop.write(`${shelf}-pot`, `pot for ${shelf} ${serial}, fired`)
  },
})

export const openTheShop = step({
  id: 'finish/open-the-shop',
  title: 'Open the shop',
  needs: [makePot],
  danger: 'changes',
  bounds,
  output: nothing,
  async observe({ workshop, outputs }) {
    const pots = outputs(makePot).size
    return workshop.read('sign') === `open, ${pots} pots`
      ? done({}, 'the sign says open')
      : due('turn the sign')
  },
  async apply({ workshop, outputs }) {
    workshop.write('sign', `open, ${outputs(makePot).size} pots`)
  },
})

export const awaitCustomer = step({
  id: 'finish/await-customer',
  title: 'Wait for a customer',
  needs: [openTheShop],
  danger: 'reads',
  bounds,
  output: nothing,
  async observe({ workshop }) {
    return workshop.read('sign')?.startsWith('open')
      ? done({}, 'a customer came')
      : due('wait for a customer')
  },
})

export const pottery = runbook('pottery', 'Fill the workshop with pots', [
  phase('prepare', 'Prepare', [lookAround, shutTheShop]),
  phase('shelves', 'Shelves', [clearShelf, makePot]),
  phase('finish', 'Finish', [openTheShop, awaitCustomer]),
])

/** A workshop as it is at the beginning. */
export function furnish(dir: string, names: string[]): void {
  writeFileSync(join(dir, 'shelves.json'), JSON.stringify(names))
  for (const name of names) {
    writeFileSync(join(dir, `${name}.serial`), `S-${name}`)
    writeFileSync(join(dir, `${name}-junk`), 'junk')
    writeFileSync(join(dir, `${name}-old`), 'old')
  }
}

/** Everything in the world but the log of touches. */
export function worldOf(dir: string): Record<string, string> {
  const names = readdirSync(dir)
    .filter(n => n !== 'touched.log')
    .sort()
  return Object.fromEntries(names.map(n => [n, readFileSync(join(dir, n), 'utf8')]))
}
