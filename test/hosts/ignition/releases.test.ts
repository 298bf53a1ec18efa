import { expect, test } from 'vitest'
import { accepts, experimentalSpec, ignitionOf, specsOf } from '../../../src/hosts/ignition/releases.ts'

test.each([
  // release, Ignition, a spec that it takes, one that it refuses
  ['4593.2.5', '2.24.0', '3.6.0-experimental', '3.7.0-experimental'],
  ['4593.2.5', '2.24.0', '3.5.0', '3.6.0'],
  ['4152.2.3', '2.20.0', '3.5.0', '3.5.0-experimental'],
  ['4081.3.10', '2.19.0', '3.4.0', '3.5.0'],
  ['3510.2.8', '2.14.0', '3.3.0', '3.4.0'],
  ['3139.2.3', '0.36.1', undefined, '3.0.0'],
  ['40.20241027.3.0', '2.20.0', '3.5.0', undefined],
  ['40.20240602.3.0', '2.15.0', '3.4.0', '3.5.0'],
  ['33.20210117.3.2', '2.7.0', '3.2.0', '3.3.0'],
])('%s has Ignition %s: takes %s, refuses %s', (release, ignition, takes, refuses) => {
  const image = ignitionOf(release)
  expect(image.ignition).toBe(ignition)
  if (takes) expect(accepts(image, takes)).toBe('yes')
  if (refuses) expect(accepts(image, refuses)).toBe('no')
})

test('what nobody knows is told as unknown, and never taken for a refusal', () => {
  for (const release of [undefined, 'my-own-image', '4593'])
    expect(accepts(ignitionOf(release), '3.4.0')).toBe('unknown')
  // A release of after this was written still takes the stable specs; of newer ones nobody can tell.
  expect(accepts(ignitionOf('9999.2.0'), '3.5.0')).toBe('yes')
  expect(accepts(ignitionOf('9999.2.0'), '3.6.0-experimental')).toBe('unknown')
  expect(accepts(ignitionOf('44.20260601.3.0'), '3.6.0')).toBe('unknown')
  expect(accepts(ignitionOf('28.20190101.3.0'), '3.0.0')).toBe('unknown')
})

test('experimental Butane is compiled to the one experimental spec of the image', () => {
  expect(experimentalSpec(ignitionOf('4593.2.5'))).toBe('3.6.0-experimental')
  expect(experimentalSpec(ignitionOf('3815.2.0'))).toBe('3.5.0-experimental')
  expect(experimentalSpec(ignitionOf('9999.2.0'))).toBeUndefined()
  expect(specsOf('2.26.0')).toMatchObject({ experimental: '3.7.0-experimental' })
})
