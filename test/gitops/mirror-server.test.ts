import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { mintMirrorCertificate } from '../../src/gitops/mirror-certificate.ts'
import { MirrorServer } from '../../src/gitops/mirror-server.ts'
import { keepMirror } from '../../src/gitops/repository.ts'
import { scratch } from '../runbook/harness.ts'
import { commitAll } from './repositories.ts'

const { signal } = new AbortController()
const token = 'token-of-the-test'

const opened: MirrorServer[] = []
afterEach(() => Promise.all(opened.splice(0).map(server => server.close())))

/** A mirror of a repository of one file, served in the place of a URL that nobody can reach. */
async function served(url: string): Promise<{ server: MirrorServer; ca: string; mirror: string }> {
  const folder = scratch('repository')
  writeFileSync(join(folder, 'file'), 'from the kit')
  commitAll(folder)
  const { path: mirror } = (await keepMirror(folder, scratch('kit'), signal))!
  const certificate = await mintMirrorCertificate(new URL(url).hostname)
  const ca = join(scratch('ca'), 'ca.pem')
  writeFileSync(ca, certificate.certificate)
  const server = new MirrorServer({ url, mirror, address: '127.0.0.1', port: 0, token, certificate })
  await server.listen()
  opened.push(server)
  return { server, ca, mirror }
}

/** git as Argo CD runs it: a proxy in its environment, and the authority that it trusts. */
function git(
  args: string[],
  proxy: string,
  env: Record<string, string> = {},
): Promise<{ code: number; said: string }> {
  return new Promise(resolve =>
    execFile(
      'git',
      args,
      {
        env: {
          PATH: process.env.PATH,
          HOME: '/dev/null',
          GIT_TERMINAL_PROMPT: '0',
          http_proxy: proxy,
          https_proxy: proxy,
          ...env,
        },
      },
      (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, said: `${stdout}${stderr}` }),
    ),
  )
}

test.for(['https://git.example.net/you/home.git', 'http://git.example.net:3000/you/home'])(
  'git clones and fetches %s, which is nowhere, by the proxy, with the old and the new protocol',
  async url => {
    const { server, ca } = await served(url)
    for (const version of ['0', '2']) {
      const to = join(scratch('clone'), 'home')
      const how = ['-c', `protocol.version=${version}`]
      const cloned = await git([...how, 'clone', '-q', url, to], server.proxy, { GIT_SSL_CAINFO: ca })
      expect(cloned).toEqual({ code: 0, said: '' })
      expect(readFileSync(join(to, 'file'), 'utf8')).toBe('from the kit')
      const head = (await git(['-C', to, 'rev-parse', 'HEAD'], server.proxy)).said.trim()
      // As Argo CD asks for the commit that it is to show.
      const again = ['fetch', '-q', 'origin', head, '--force', '--prune']
      expect((await git([...how, '-C', to, ...again], server.proxy, { GIT_SSL_CAINFO: ca })).code).toBe(0)
    }
  },
)

test('a certificate that nobody was told of is trusted by nobody', async () => {
  const url = 'https://git.example.net/you/home.git'
  const { server } = await served(url)
  const { code, said } = await git(['ls-remote', url], server.proxy)
  expect(code).toBe(128)
  expect(said).toMatch(/certificate/i)
})

test('whoever does not know its password gets nothing', async () => {
  for (const url of ['https://git.example.net/you/home.git', 'http://git.example.net/you/home.git']) {
    const { server, ca } = await served(url)
    const env = { GIT_SSL_CAINFO: ca }
    for (const proxy of [server.proxy.replace(token, 'another'), server.proxy.replace(/\/\/.*@/, '//')]) {
      const { code, said } = await git(['ls-remote', url], proxy, env)
      expect(code).toBe(128)
      expect(said).toContain('407')
    }
    expect((await git(['ls-remote', url], server.proxy, env)).code).toBe(0)
  }
})

test('another host, another port, another repository and a push are refused', async () => {
  const url = 'https://git.example.net/you/home.git'
  const { server, ca, mirror } = await served(url)
  const ask = (...args: string[]) => git(args, server.proxy, { GIT_SSL_CAINFO: ca })
  expect((await ask('ls-remote', 'https://elsewhere.example.net/you/home.git')).said).toContain('403')
  expect((await ask('ls-remote', 'https://git.example.net:8443/you/home.git')).said).toContain('403')
  expect((await ask('ls-remote', 'http://git.example.net/you/home.git')).said).toContain('403')
  expect((await ask('ls-remote', 'https://git.example.net/you/other.git')).said).toContain('not found')
  expect((await ask('-C', mirror, 'push', url, 'HEAD:refs/heads/evil')).said).toContain('403')
})

test('a port that is taken is told, with what to do', async () => {
  const { server, mirror } = await served('https://git.example.net/you/home.git')
  const port = Number(new URL(server.proxy).port)
  const certificate = await mintMirrorCertificate('git.example.net')
  const second = new MirrorServer({
    url: 'https://git.example.net/x',
    mirror,
    address: '127.0.0.1',
    port,
    token,
    certificate,
  })
  await expect(second.listen()).rejects.toMatchObject({
    code: 'mirror-port-taken',
    message: expect.stringContaining(`127.0.0.1:${port}: EADDRINUSE`),
    remedy: expect.stringContaining('gitops.serve.port'),
  })
})
