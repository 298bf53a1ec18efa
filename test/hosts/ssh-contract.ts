import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, type TestContext, test } from 'vitest'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { connectSsh, fingerprintOfText, probeSsh, type SshAccess } from '../../src/hosts/ssh.ts'
import { gateTo } from './gate.ts'

/** A machine with an SSH server that the contract may use as it likes. */
export interface ContractHost {
  /** Port on 127.0.0.1. */
  port: number
  /** How one logs in there by the transport that is tried; `stranger` holds a key that the machine does not know. */
  login(who: 'friend' | 'stranger'): Omit<SshAccess, 'name' | 'address' | 'port' | 'pins'>
  /** Its host key. */
  hostKey: string
  /** A folder there in which files may be made. */
  folder: string
  /** A command that takes longer than a second, and does nothing. */
  slow: string
  /** A command that ends with code 255, if it has one; a lab's machine is no shell. */
  ends255?: string
  /** How many commands reached it. */
  commands?(): number
}

/** Bytes of the large upload; 0 leaves it out. */
export interface ContractSize {
  upload: number
  /** Bytes of the largest text that goes there and back; a lab's machine keeps no more than 256 KiB of a file. */
  text: number
  /** The hosts share nothing: their tests may wait side by side. */
  together?: true
}

/** Has something done when the test that it was made for is over. */
export type AtEnd = (close: () => Promise<void>) => void

const wrong = mintHostKey(Buffer.from('another machine'), 'x').publicKey

/**
 * What every transport does with every SSH server that it may meet. The host is made anew for each test.
 * @param start makes the host; what it needs closed is registered by itself
 */
export function sshContract(
  name: string,
  start: (atEnd: AtEnd) => Promise<ContractHost>,
  size: ContractSize,
): void {
  const each = size.together ? test.concurrent : test

  async function host(context: TestContext) {
    const atEnd: AtEnd = close => context.onTestFinished(close)
    const there = await start(atEnd)
    const gate = await gateTo(there.port)
    atEnd(() => gate.close())
    const access = (change: Partial<SshAccess> = {}, who: 'friend' | 'stranger' = 'friend'): SshAccess => ({
      name: 'lithium',
      address: '127.0.0.1',
      port: gate.port,
      pins: [there.hostKey],
      ...there.login(who),
      ...change,
    })
    const read = (path: string) => `cat -- ${path}`
    const write = (path: string) => `install -D -m 0600 /dev/stdin ${path}`
    return { ...there, gate, access, read, write }
  }

  describe(name, () => {
    each('exit code, output and errors of a command come back, each where it belongs', async context => {
      const { access, read, folder, ends255 } = await host(context)
      const ssh = await connectSsh(access())
      expect(fingerprintOfText(ssh.hostKey)).toBe(fingerprintOfText((access().pins as string[])[0]!))
      expect(await ssh.run('true')).toEqual({ code: 0, stdout: '', stderr: '' })
      const missing = await ssh.run(read(`${folder}/nothing`))
      expect(missing).toMatchObject({ code: 1, stdout: '' })
      expect(missing.stderr).toContain('No such file')
      expect((await ssh.run('no-such-program-anywhere')).code).toBe(127)
      if (ends255 !== undefined) expect((await ssh.run(ends255)).code).toBe(255)
      ssh.close()
      await ssh.closed
    })

    each('what goes in by stdin comes out unchanged, as text, bytes and stream', async context => {
      const { access, read, write, folder } = await host(context)
      const ssh = await connectSsh(access())
      const text = 'first line\nit’s "the" $second\\ `line`\n'
      expect((await ssh.run(write(`${folder}/text`), { stdin: text })).code).toBe(0)
      expect((await ssh.run(read(`${folder}/text`))).stdout).toBe(text)
      const big = randomBytes(size.text / 2).toString('hex')
      await ssh.run(write(`${folder}/big`), { stdin: Buffer.from(big) })
      expect(digest((await ssh.run(read(`${folder}/big`))).stdout)).toBe(digest(big))
      const chunks = Array.from({ length: 50 }, (_, i) => `chunk ${i}\n`.repeat(400))
      await ssh.run(write(`${folder}/streamed`), { stdin: Readable.from(chunks) })
      expect(digest((await ssh.run(read(`${folder}/streamed`))).stdout)).toBe(digest(chunks.join('')))
      const broken = Readable.from(
        (async function* () {
          yield 'half'
          throw new Error('the file could not be read')
        })(),
      )
      await expect(ssh.run(write(`${folder}/broken`), { stdin: broken })).rejects.toThrow('could not be read')
      expect((await ssh.run('true')).code).toBe(0)
      ssh.close()
      await ssh.closed
    })

    each('many commands at once all get their own answer on one connection', async context => {
      const { access, read, write, folder, gate } = await host(context)
      const ssh = await connectSsh(access())
      const numbers = Array.from({ length: 24 }, (_, i) => i)
      await Promise.all(numbers.map(i => ssh.run(write(`${folder}/n${i}`), { stdin: `number ${i}` })))
      const answers = await Promise.all(numbers.map(i => ssh.run(read(`${folder}/n${i}`))))
      expect(answers.map(a => a.stdout)).toEqual(numbers.map(i => `number ${i}`))
      expect(gate.came).toBe(1)
      ssh.close()
      await ssh.closed
    })

    each('a machine with another host key gets nothing: no login, no command', async context => {
      const { access, hostKey, commands } = await host(context)
      const before = commands?.()
      await expect(connectSsh(access({ pins: [wrong] }))).rejects.toMatchObject({
        code: 'host-key-mismatch',
        transient: false,
        message: expect.stringContaining(fingerprintOfText(hostKey)),
      })
      await expect(connectSsh(access({ pins: [] }))).rejects.toMatchObject({ code: 'host-key-mismatch' })
      expect(commands?.()).toBe(before)
      const both = await connectSsh(access({ pins: [wrong, hostKey] }))
      both.close()
      await both.closed
    })

    each('a first look trusts nothing afterwards: the next one compares again', async context => {
      const { access, hostKey } = await host(context)
      const ssh = await connectSsh(access({ pins: 'first-use' }))
      expect(ssh.hostKey.split(' ').slice(0, 2)).toEqual(hostKey.split(' ').slice(0, 2))
      ssh.close()
      await ssh.closed
      await expect(connectSsh(access({ pins: [wrong] }))).rejects.toMatchObject({
        code: 'host-key-mismatch',
      })
      expect(await probeSsh(access())).toMatchObject({ state: 'answers' })
      expect(await probeSsh(access({ pins: [wrong] }))).toMatchObject({
        state: 'other-key',
        fingerprint: fingerprintOfText(hostKey),
      })
    })

    each(
      'a login that is refused, a port without a server, a server that drops: each has its name',
      async context => {
        const { access, gate } = await host(context)
        await expect(connectSsh(access({}, 'stranger'))).rejects.toMatchObject({
          code: 'host-auth-refused',
          blame: 'operator',
          transient: false,
        })
        expect(await probeSsh(access({}, 'stranger'))).toEqual({ state: 'refused-login' })
        const nobody = access({ port: await freePort() })
        await expect(connectSsh(nobody)).rejects.toMatchObject({ code: 'ssh-refused', transient: true })
        gate.mode = 'drop'
        await expect(connectSsh(access())).rejects.toMatchObject({ code: 'ssh-throttled', transient: true })
        gate.mode = 'hold'
        const began = performance.now()
        await expect(connectSsh(access({ connectTimeoutMs: 1_000 }))).rejects.toMatchObject({
          code: 'host-silent',
          transient: true,
        })
        expect(performance.now() - began).toBeLessThan(8_000)
      },
    )

    each('a line that is cut under a command says so, and is closed', async context => {
      const { access, gate, slow } = await host(context)
      const ssh = await connectSsh(access())
      const running = ssh.run(slow)
      setTimeout(() => gate.cut(), 300)
      await expect(running).rejects.toMatchObject({ code: 'host-line-lost', transient: true })
      await ssh.closed
      await expect(ssh.run('true')).rejects.toMatchObject({ code: 'host-line-lost' })
    })

    each('a machine that goes silent under a command is given up by the clock', async context => {
      const { access, gate, slow } = await host(context)
      const ssh = await connectSsh(access({ keepAlive: { everyMs: 1_000, times: 1 } }))
      const running = ssh.run(slow)
      setTimeout(() => {
        gate.mode = 'hold'
      }, 300)
      const began = performance.now()
      await expect(running).rejects.toMatchObject({ code: 'host-silent', transient: true })
      expect(performance.now() - began).toBeLessThan(8_000)
      await ssh.closed
    })

    each('a command has its own time; a person who stops waits for nothing', async context => {
      const { access, slow } = await host(context)
      const ssh = await connectSsh(access())
      await expect(ssh.run(slow, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'host-silent' })
      const stop = new AbortController()
      let over = false
      const end = () => {
        over = true
      }
      ssh.run(slow).then(end, end)
      const running = ssh.run(slow, { signal: stop.signal })
      setTimeout(() => stop.abort(new Error('stopped')), 200)
      await expect(running).rejects.toThrow('stopped')
      expect(over).toBe(false)
      expect((await ssh.run('true')).code).toBe(0)
      ssh.close()
      await ssh.closed
      await expect(connectSsh(access(), AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped')
    })

    if (size.upload > 0)
      each(`${size.upload / 1e6} MB go up whole`, { timeout: 120_000 }, async context => {
        const { access, folder } = await host(context)
        const ssh = await connectSsh(access())
        const block = randomBytes(1_000_000)
        const hash = createHash('sha256')
        const count = size.upload / block.length
        for (let i = 0; i < count; i += 1) hash.update(block)
        const stdin = Readable.from(
          (function* () {
            for (let i = 0; i < count; i += 1) yield block
          })(),
        )
        const began = performance.now()
        const sent = await ssh.run(`cat > ${folder}/image`, { stdin, timeoutMs: 100_000 })
        expect(sent).toMatchObject({ code: 0 })
        const seconds = (performance.now() - began) / 1_000
        process.stdout.write(`${name}: ${Math.round(size.upload / 1e6 / seconds)} MB/s\n`)
        const sum = await ssh.run(`sha256sum ${folder}/image`, { timeoutMs: 60_000 })
        expect(sum.stdout.split(' ')[0]).toBe(hash.digest('hex'))
        await ssh.run(`rm ${folder}/image`)
        ssh.close()
        await ssh.closed
      })
  })
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}
