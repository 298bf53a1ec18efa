import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { type CertificateOffer, trustNas } from '../../runbooks/trust-nas.ts'
import { init } from '../../src/cluster/init.ts'
import { shownCertificate } from '../../src/tls/shown-certificate.ts'
import { root } from '../cli/program.ts'
import { connectedNas } from '../nas/connected-nas.ts'
import { scratch } from '../runbook/harness.ts'

/** A cluster file as init writes it for the example, but for where its NAS is. */
function written(nas: string) {
  const home = join(scratch('trust'), 'home')
  cpSync(join(root, 'examples/home'), home, { recursive: true })
  rmSync(join(home, 'recover.yaml'))
  const result = init({ repository: home, output: join(home, 'recover.yaml') })
  const drafted = readFileSync(result.file, 'utf8')
  expect(drafted).toContain(`synology: ${result.nas}`)
  writeFileSync(result.file, drafted.replace(`synology: ${result.nas}`, `synology: ${nas}`))
  return { ...result, nas }
}
const nasIn = (file: string) => (parse(readFileSync(file, 'utf8')) as { nas: Record<string, string> }).nas

test('the certificate that the NAS shows is written with a person’s yes, and nothing was asked of the NAS', async () => {
  const { port, emulator, world } = await connectedNas()
  const result = written(`https://127.0.0.1:${port}`)
  const offers: CertificateOffer[] = []
  const trusted = await trustNas(result, offer => offers.push(offer) > 0)
  expect(offers).toEqual([{ url: `https://127.0.0.1:${port}`, fingerprint: emulator.fingerprint }])
  expect(nasIn(result.file).fingerprint).toBe(emulator.fingerprint)
  expect(trusted.questions.map(q => q.path)).not.toContain('nas.fingerprint')
  expect(trusted.questions).toHaveLength(result.questions.length - 1)
  expect(world.mutations.nas).toBe(0)
  // What is answered is not asked again.
  expect(await trustNas(trusted, () => expect.unreachable())).toBe(trusted)
})

test('without a yes the question stays', async () => {
  const { port } = await connectedNas()
  const result = written(`https://127.0.0.1:${port}`)
  expect(await trustNas(result, () => false)).toBe(result)
  expect(nasIn(result.file).fingerprint).toBe('?')
})

test('who says nothing, or nothing of TLS, shows no certificate', async () => {
  const deaf = createServer(() => {})
  const rude = createServer(socket => socket.end('220 hello\r\n'))
  for (const server of [deaf, rude]) {
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
  }
  const at = (server: typeof deaf) => `https://127.0.0.1:${(server.address() as { port: number }).port}`
  expect(await shownCertificate(at(deaf), 50)).toBeUndefined()
  expect(await shownCertificate(at(rude))).toBeUndefined()
})
