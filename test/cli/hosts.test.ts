import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { recover, root, scratch } from './program.ts'

const example = ['--file', join(root, 'examples/home'), '--lab']
const time = { timeout: 60_000 }

test('hosts list: a line for each host, whoever answers', time, async context => {
  const { exit, stderr } = await recover(['hosts', 'list', ...example], scratch(context))
  expect(exit).toBe(0)
  const [head, ...rows] = stderr.trim().split('\n')
  expect(head).toMatch(/^HOST +ADDRESS +ANSWERS +SYSTEM +K0S +BOOTED FROM +DISK +INSTALL$/)
  expect(rows).toEqual([
    expect.stringMatching(
      /^lithium +192\.0\.2\.11 +yes +Flatcar live +- +memory +nvme0n1 \(serial S4EVNX0M123456\) +ssh, /,
    ),
    expect.stringMatching(
      /^hydrogen +192\.0\.2\.12 +yes +Fedora CoreOS 40 +- +nvme0n1 +nvme0n1 \(serial S4EVNX0M654321\)/,
    ),
  ])
})

test('hosts facts: one host, its named disk marked among the others', time, async context => {
  const { exit, stderr } = await recover(['hosts', 'facts', 'hydrogen', ...example], scratch(context))
  expect(exit).toBe(0)
  expect(stderr).toMatch(/! \/dev\/nvme0n1: .*serial S4EVNX0M654321.*booted from \(the one that is named\)/)
  expect(stderr).toMatch(/nvme0n1p9 .*ext4, ROOT, mounted at \//)
  expect(stderr).toMatch(/ {4}\/dev\/sda: .*NOT-NAMED/)
  expect(stderr).not.toMatch(/lithium/)
})

test('hosts facts: many hosts at once are no leak of listeners', time, async context => {
  const folder = scratch(context)
  const home = join(folder, 'home')
  cpSync(join(root, 'examples/home'), home, { recursive: true })
  const names = Array.from({ length: 12 }, (_, i) => `host-${i}`)
  const replace = (file: string, old: RegExp, line: (name: string, i: number) => string) => {
    const text = readFileSync(join(home, file), 'utf8')
    writeFileSync(join(home, file), text.replace(old, names.map(line).join('\n')))
  }
  // Nobody listens at port 1 of this machine.
  const ssh = `{ address: 127.0.0.1, port: 1, user: core, keyPath: ${join(home, 'id')} }`
  const rest = 'ignition: ./ignition/hydrogen.ign, install: [by-hand]'
  const role = (i: number) => (i === 0 ? 'controller' : 'worker')
  replace(
    'k0sctl.yaml',
    /(?<= {2}hosts:\n)[\s\S]*?(?=\n {2}k0s:)/,
    (name, i) => `    - { role: ${role(i)}, hostname: ${name}, ssh: ${ssh} }`,
  )
  replace(
    'recover.yaml',
    /(?<=\nhosts:\n)[\s\S]*?(?=\nnas:)/,
    (name, i) => `  ${name}: { address: 127.0.0.1, ${rest}, disk: { serial: S${i} } }`,
  )
  writeFileSync(join(home, 'id'), mintHostKey(randomBytes(32), 'login').privateKey)
  const { stderr } = await recover(['hosts', 'facts', '--file', home], folder)
  expect(stderr.match(/refuses the connection/g)).toHaveLength(names.length)
  expect(stderr).not.toMatch(/warning/i)
})

test(
  'hosts plan: victims as a run would name them, the other disks, the ways, as JSON',
  time,
  async context => {
    const { exit, stdout, stderr } = await recover(
      ['hosts', 'plan', 'hydrogen', '--json', ...example],
      scratch(context),
    )
    expect(exit).toBe(0)
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({
      hosts: [
        {
          host: 'hydrogen',
          possible: true,
          victims: [
            {
              kind: 'disk',
              name: 'hydrogen S4EVNX0M654321',
              content: [/EFI-SYSTEM/, /ext4 ROOT/].map(r => expect.stringMatching(r)),
            },
          ],
          untouched: [expect.stringMatching(/^\/dev\/sda .*photos/)],
          uses: ['nvme0n1p9 is mounted at /'],
          rungs: [{ name: 'by-hand' }],
        },
      ],
    })
  },
)

test(
  'hosts plan and ignition: what the config takes from elsewhere, and where it would come from',
  time,
  async context => {
    const folder = scratch(context)
    cpSync(join(root, 'examples/home'), join(folder, 'home'), { recursive: true })
    const file = join(folder, 'home', 'ignition', 'hydrogen.ign')
    const source = 'https://example.net/releases/latest/tool'
    const text = readFileSync(file, 'utf8').replace(
      '"files": [',
      `"files": [{ "path": "/opt/tool", "contents": { "source": "${source}" } },`,
    )
    writeFileSync(file, text)
    const plan = await recover(['hosts', 'plan', 'hydrogen', '--file', join(folder, 'home'), '--lab'], folder)
    expect(plan.exit).toBe(0)
    expect(plan.stderr).toMatch(
      /What its config takes from elsewhere:\n.*\/opt\/tool \(https:\/\/example\.net\/releases\/latest\/tool\), from the\s+network at the first boot/,
    )
    const bu = join(folder, 'a.bu')
    writeFileSync(
      bu,
      `variant: flatcar\nversion: 1.1.0\nstorage: { files: [{ path: /opt/tool, contents: { source: ${source} } }] }\n`,
    )
    const { stdout } = await recover(['hosts', 'ignition', bu, '--json'], folder)
    const from = 'from the network at the first boot: the kit does not have it, not pinned by the config'
    expect(JSON.parse(stdout).sources).toEqual([{ what: '/opt/tool', url: source, from }])
    const { stderr } = await recover(['hosts', 'ignition', bu, '--warn-more'], folder)
    expect(stderr).toContain(`fetched at the first boot: /opt/tool (${source}), ${from}`)
  },
)

test('whoever reads along may leave: a command ends as it would have', time, async context => {
  const state = scratch(context)
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), 'hosts', 'list', ...example], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: state, XDG_STATE_HOME: state },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  child.stderr.destroy()
  expect(await new Promise(resolve => child.once('close', resolve))).toBe(0)
})
