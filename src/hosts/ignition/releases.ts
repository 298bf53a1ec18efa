import type { IgnitionSpec } from '../butane/messages.ts'

/**
 * First major release of Flatcar with each Ignition, of every channel alike. Source: `major_software.ignition` of every
 * release in flatcar.org/releases-json/releases.json, read up to 4790.0.0 of 2026-08-13.
 */
const flatcarReleases: readonly (readonly [firstMajor: number, ignition: string])[] = [
  [0, '0.36.1'],
  [3185, '2.13.0'],
  [3277, '2.14.0'],
  [3535, '2.15.0'],
  [3913, '2.18.0'],
  [4012, '2.19.0'],
  [4152, '2.20.0'],
  [4344, '2.21.0'],
  [4459, '2.22.0'],
  [4547, '2.24.0'],
]
const newestFlatcar = 4790

/**
 * Day from which Fedora CoreOS has each Ignition that brought a new spec; a release's version says of which day it is
 * (`40.20241027.3.0`). Source: manifest-lock.x86_64.json in github.com/coreos/fedora-coreos-config, branch
 * testing-devel, read up to 2024-10-24. A release is made from that branch on the day in its version.
 */
const fedoraCoreosDays: readonly (readonly [day: number, ignition: string])[] = [
  [20190819, '2.0.1'],
  [20200507, '2.3.0'],
  [20201019, '2.7.0'],
  [20210628, '2.11.0'],
  [20230223, '2.15.0'],
  [20241023, '2.20.0'],
]
const newestFedoraCoreos = 20241024

/**
 * Minor version of Ignition 2 that brought each stable spec, newest last. The experimental spec that it takes is the
 * next one, and only that. Source: coreos.github.io/ignition/specs and its release notes.
 */
const stableSpecs: readonly (readonly [firstMinor: number, specMinor: number])[] = [
  [0, 0],
  [3, 1],
  [7, 2],
  [11, 3],
  [15, 4],
  [20, 5],
  [26, 6],
]

/** What an image's Ignition makes of configs, as far as it is known. */
export interface ImageIgnition {
  /** `Flatcar 4593.2.5`, or the version as it was given. */
  image: string
  /** Version of its Ignition; absent where it is not known. */
  ignition?: string
  /** It has at least that Ignition, and may have a newer one: the release is newer than what we know. */
  orNewer: boolean
}

/** Looks an image's release up: `4593.2.5` of Flatcar, `40.20241027.3.0` of Fedora CoreOS. */
export function ignitionOf(release: string | undefined): ImageIgnition {
  const flatcar = /^(\d{3,4})\.\d+\.\d+/.exec(release ?? '')
  const day = /^\d{2}\.(\d{8})\.\d+\.\d+$/.exec(release ?? '')
  if (flatcar) {
    const major = Number(flatcar[1])
    return {
      image: `Flatcar ${release}`,
      ignition: last(flatcarReleases, major)!,
      orNewer: major > newestFlatcar,
    }
  }
  if (day) {
    const ignition = last(fedoraCoreosDays, Number(day[1]))
    return {
      image: `Fedora CoreOS ${release}`,
      ...(ignition === undefined ? {} : { ignition }),
      orNewer: Number(day[1]) > newestFedoraCoreos,
    }
  }
  return { image: release ?? 'an image whose release is not named', orNewer: false }
}

function last<T>(table: readonly (readonly [number, T])[], at: number): T | undefined {
  return table.filter(([from]) => from <= at).at(-1)?.[1]
}

/** Specs that a version of Ignition accepts: `3.0.0` to the newest stable one, and one experimental. */
export function specsOf(ignition: string): { stable: IgnitionSpec[]; experimental?: IgnitionSpec } {
  const [major, minor] = ignition.split('.').map(Number)
  if (major !== 2) return { stable: [] }
  const newest = last(stableSpecs, minor ?? 0) ?? 0
  return {
    stable: Array.from({ length: newest + 1 }, (_, i): IgnitionSpec => `3.${i}.0`),
    experimental: `3.${newest + 1}.0-experimental`,
  }
}

/** Whether an image takes a config of a spec. */
export function accepts(image: ImageIgnition, spec: string): 'yes' | 'no' | 'unknown' {
  if (image.ignition === undefined) return 'unknown'
  const { stable, experimental } = specsOf(image.ignition)
  // Stable specs stay accepted in every Ignition 2; an experimental one goes with the next.
  if (stable.some(s => s === spec)) return 'yes'
  if (image.orNewer) return 'unknown'
  return spec === experimental ? 'yes' : 'no'
}

/** The experimental spec to compile to for an image; undefined where nobody knows. */
export function experimentalSpec(image: ImageIgnition): IgnitionSpec | undefined {
  return image.ignition === undefined || image.orNewer ? undefined : specsOf(image.ignition).experimental
}
