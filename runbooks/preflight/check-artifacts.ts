import { z } from 'zod'
import { verifiedImage } from '../../src/hosts/install/ssh-installer.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** Every system image that a host is made from is there and whole. */
export const checkArtifacts = step({
  id: 'preflight/check-artifacts',
  title: 'Check the system images',
  byHand: 'Compare `sha256sum` of the Flatcar image with the one in recover.yaml.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '10m' },
  output: z.strictObject({ images: z.array(z.string()) }),
  async observe({ cluster }) {
    const images = new Set<string>()
    const checked = new Set<string>()
    for (const [name, host] of Object.entries(cluster.entry.hosts)) {
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
    return done({ images: [...images] }, `${images.size} system image(s) are whole`)
  },
})
