import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { FileServer } from '../../../src/hosts/netboot/file-server.ts'
import { openNetboot } from '../../../src/hosts/netboot/netboot.ts'
import { scratch } from '../../runbook/harness.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function server(macOf?: (address: string) => Promise<string | undefined>) {
  const made = new FileServer('127.0.0.1', 0, macOf)
  await made.listen()
  closing.push(() => made.close())
  return made
}

function file(text: string): string {
  const path = join(scratch('served'), 'image')
  writeFileSync(path, text)
  return path
}

const get = (url: string, init: RequestInit = {}) =>
  fetch(url, { ...init, headers: { connection: 'close', ...init.headers } })

test('a mirror answers HEAD and ranges, as wget and flatcar-install ask', async () => {
  const http = await server()
  const { url } = http.offer({ name: '4593.2.5/image.bz2', content: { file: file('0123456789') } })
  const head = await get(url, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length'), head.headers.get('accept-ranges')]).toEqual([
    200,
    '10',
    'bytes',
  ])
  const range = async (header: string) => {
    const answer = await get(url, { headers: { range: header } })
    return [answer.status, answer.headers.get('content-range'), await answer.text()]
  }
  expect(await range('bytes=2-4')).toEqual([206, 'bytes 2-4/10', '234'])
  expect(await range('bytes=7-')).toEqual([206, 'bytes 7-9/10', '789'])
  expect(await range('bytes=-2')).toEqual([206, 'bytes 8-9/10', '89'])
  expect(await range('bytes=10-')).toEqual([416, 'bytes */10', ''])
  expect(await (await get(url)).text()).toBe('0123456789')
})

test('patched bytes are served in the place of others, in ranges, too', async () => {
  const http = await server()
  const content = { file: file('0123456789'), patches: [{ offset: 3, bytes: Buffer.from('abc') }] }
  const { url } = http.offer({ name: 'cd.iso', content })
  expect(await (await get(url)).text()).toBe('012abc6789')
  expect(await (await get(url, { headers: { range: 'bytes=4-6' } })).text()).toBe('bc6')
})

test('a secret is given once; asked again it is 503 while it is offered, never 404; gone afterwards', async () => {
  const http = await server()
  const offered = http.offer({ name: 'config', content: { text: () => 'secret' }, once: true })
  expect((await get(offered.url, { method: 'HEAD' })).status).toBe(200)
  expect(await (await get(offered.url)).text()).toBe('secret')
  const again = await get(offered.url)
  expect([again.status, await again.text(), again.headers.get('retry-after')]).toEqual([
    503,
    'it was given already\n',
    '5',
  ])
  offered.withdraw()
  expect((await get(offered.url)).status).toBe(404)
})

test('a secret that two ask for at the same moment is given to one of them', async () => {
  const waiting: ((mac: string) => void)[] = []
  const mac = '52:54:00:00:00:31'
  const http = await server(
    () =>
      new Promise(resolve => {
        if (waiting.push(resolve) === 2) for (const go of waiting) go(mac)
      }),
  )
  const { url } = http.offer({ name: 'config', content: { text: () => 'x' }, macs: [mac], once: true })
  const answers = await Promise.all([get(url), get(url)])
  expect(answers.map(a => a.status).sort()).toEqual([200, 503])
})

test('only the machine that is meant gets it, by any of its interfaces; who else asks uses nothing up', async () => {
  let asks = '52:54:00:00:00:99'
  const http = await server(async () => asks)
  const macs = ['52:54:00:00:00:31', '52:54:00:00:00:32']
  const { url } = http.offer({ name: 'config', content: { text: () => 'x' }, macs, once: true })
  expect((await get(url)).status).toBe(403)
  asks = '52:54:00:00:00:32'
  expect((await get(url)).status).toBe(200)
  expect((await get(url)).status).toBe(503)
  const other = http.offer({ name: 'config', content: { text: () => 'x' }, peer: '192.0.2.7' })
  expect((await get(other.url)).status).toBe(403)
})

test('a script that nobody is armed for lets the firmware go on to the disk', async () => {
  const http = await server()
  const { url, withdraw } = http.offer({ name: 'boot.ipxe', content: { text: () => '#!ipxe\nboot\n' } })
  withdraw()
  const answer = await get(url)
  expect([answer.status, await answer.text()]).toEqual([200, '#!ipxe\nexit\n'])
  expect((await get(`${http.base}/guessed/vmlinuz`)).status).toBe(404)
})

test('each boot gets the config under an address of its own; a disarmed machine gets nothing', async () => {
  const answered: string[][] = []
  const netboot = openNetboot({
    address: '127.0.0.1',
    port: 0,
    dhcp: {
      lacks: () => undefined,
      answer: async machines => void answered.push(machines.map(m => m.mac)),
      forget: async () => {},
    },
  })
  closing.push(() => netboot.close())
  const mac = '52:54:00:00:00:31'
  const order = { mac, kernel: file('k'), initrd: file('i'), arguments: 'recover.run=r', config: '{}' }
  const armed = await netboot.arm(order)
  await expect(netboot.arm(order)).rejects.toMatchObject({ code: 'mac-twice' })
  const configOf = (script: string) => /initrd --name config (\S+)/.exec(script)?.[1] ?? ''
  const first = await (await get(armed.script)).text()
  expect(first).toMatch(/^#!ipxe\nkernel \S+ initrd=installer initrd=config recover\.run=r\n/)
  expect((await get(configOf(first))).status).toBe(200)
  const second = await (await get(armed.script)).text()
  expect(configOf(second)).not.toBe(configOf(first))
  expect((await get(configOf(first))).status).toBe(404)
  expect(armed.fetched()).toEqual({ script: 2, kernel: 0, config: 1 })
  await armed.disarm()
  expect((await get(configOf(second))).status).toBe(404)
  expect(await (await get(armed.script)).text()).toBe('#!ipxe\nexit\n')
  expect(answered).toEqual([[mac], []])
})
