import { z } from 'zod'
import type { VerifiedArtifact } from '../../src/hosts/install/artifact.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

/** Every image that a host is made from is there and whole, by its hash or its publisher's signature, before any disk is touched. */
export const checkImages = step({
  id: 'preflight/check-images',
  title: 'Check images and their signatures',
  byHand:
    'Compare `sha256sum` of the Flatcar image with recover.yaml, or check its signature: `gpg --verify IMAGE.sig IMAGE`.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '20m' },
  output: z.strictObject({ images: z.array(z.string()) }),
  async observe({ cluster, hosts }) {
    const checked: VerifiedArtifact[] = []
    for (const [name, host] of Object.entries(cluster.entry.hosts)) {
      if (!host.image)
        return blocked(
          'image-unnamed',
          `recover.yaml names no system image for ${name}`,
          'Download one, check its signature, and name it in hosts.….image with its SHA-256',
        )
      checked.push(await hosts.verify('system image', host.image))
    }
    const { installer } = cluster.entry
    if (installer) {
      checked.push(await hosts.verify('installer’s kernel', installer.kernel))
      checked.push(await hosts.verify('installer’s initrd', installer.initrd))
      if (installer.iso) checked.push(await hosts.verify('installer’s CD image', installer.iso))
    }
    const images = [...new Set(checked.map(c => c.sha256))]
    const signed = new Set(checked.filter(c => c.signed).map(c => c.sha256)).size
    const warnings = new Map(checked.flatMap(c => (c.signed?.warning ? [[c.file, c.signed.warning]] : [])))
    return done(
      { images },
      `${images.length} image(s) are whole${signed > 0 ? `, ${signed} by signature` : ''}`,
      { warnings: [...warnings.values()] },
    )
  },
})
