import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { checkIgnition } from '../../src/hosts/ignition.ts'
import { verifiedImage } from '../../src/hosts/install/ssh-installer.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** Every file that a host is made from is there, whole, and would make a machine that one can log in to. */
export const checkArtifacts = step({
  id: 'preflight/check-artifacts',
  title: 'Check images and Ignition configs',
  byHand:
    'Compare `sha256sum` of the Flatcar image with recover.yaml; see that each Ignition config is JSON and holds your SSH key.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '10m' },
  output: z.strictObject({ images: z.array(z.string()) }),
  async observe({ cluster }) {
    const images = new Set<string>()
    const checked = new Set<string>()
    for (const [name, host] of Object.entries(cluster.entry.hosts)) {
      checkIgnition(await readFile(cluster.resolve(host.ignition), 'utf8'), host.ignition)
      if (!host.image)
        return blocked(
          'image-unnamed',
          `recover.yaml names no system image for ${name}`,
          'Download one, check its signature, and name it in hosts.….image with its SHA-256',
        )
      const file = cluster.resolve(host.image.file)
      if (checked.has(file)) continue
      const { sha256 } = await verifiedImage({ file, sha256: host.image.sha256 })
      checked.add(file)
      images.add(sha256)
    }
    return done({ images: [...images] }, `${images.size} image(s) and every Ignition config are whole`)
  },
})
