import { createHmac } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../src/cluster/load.ts'
import type { Detour } from '../src/gitops/argocd-repository.ts'
import type { MirrorCertificate } from '../src/gitops/mirror-certificate.ts'
import { MirrorServer } from '../src/gitops/mirror-server.ts'
import { mirrorCommit, mirrorIn } from '../src/gitops/repository.ts'
import type { Mask } from '../src/secrets/mask.ts'
import type { MirrorWriter } from './kit.ts'

/** In a run's folder, the certificate of its mirror with its key; erased when the run has finished. */
export const mirrorKeyFile = 'mirror.json'

/** Where the mirror is served: an address of this computer, and a TCP port (0 takes any). */
export interface MirrorPlace {
  address: string
  port: number
}

/**
 * The kit's mirror, served by this process from when a step wants it until the process ends. Another process of the same
 * run serves it with the same password and certificate, which lie in the run's folder until it has finished.
 */
export function connectMirror(
  { entry, resolve }: Cluster,
  run: { secret: Buffer; folder?: string },
  place: MirrorPlace | undefined,
  mask: Mask,
): { mirror: MirrorWriter; close(): Promise<void> } {
  const { remote = '', repository } = entry.gitops
  const path = entry.kit === undefined ? undefined : mirrorIn(resolve(entry.kit), resolve(repository))
  const file = join(run.folder ?? '', mirrorKeyFile)
  let server: MirrorServer | undefined
  let detour: Detour | undefined
  return {
    mirror: {
      async standsAt(signal) {
        return path === undefined || !existsSync(path)
          ? undefined
          : { path, commit: await mirrorCommit(path, signal) }
      },
      serving: () => detour,
      async serve() {
        if (detour) return detour
        if (path === undefined || place === undefined || run.folder === undefined)
          throw new Error('no mirror to be served')
        if (!existsSync(file)) {
          // Few runs serve a mirror, and what makes certificates takes long to load.
          const { mintMirrorCertificate } = await import('../src/gitops/mirror-certificate.ts')
          const minted = await mintMirrorCertificate(new URL(remote).hostname)
          writeFileSync(file, JSON.stringify(minted), { mode: 0o600, flush: true })
        }
        const certificate = JSON.parse(readFileSync(file, 'utf8')) as MirrorCertificate
        const token = createHmac('sha256', run.secret).update('mirror').digest('hex').slice(0, 32)
        mask.register(token)
        const opened = new MirrorServer({ ...place, url: remote, mirror: path, token, certificate })
        await opened.listen()
        server = opened
        detour = { url: remote, proxy: opened.proxy, certificate: certificate.certificate }
        return detour
      },
      async stop() {
        const opened = server
        server = undefined
        detour = undefined
        await opened?.close()
      },
    },
    close: async () => {
      await server?.close()
    },
  }
}
