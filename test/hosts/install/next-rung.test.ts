import { expect, test } from 'vitest'
import { surveyHost } from '../../../runbooks/evidence/survey-hosts.ts'
import { installFlatcar } from '../../../runbooks/hosts/install-flatcar.ts'
import { Away } from '../../../src/hosts/install/away.ts'
import { groundFor } from './ground.ts'
import { redfish } from './ladder-at.ts'

test('flatcar-reset that comes back as the old system: the next way is climbed after consent, and not reset again', async context => {
  const ground = await groundFor(context, { install: ['flatcar-reset', 'kexec'] })
  await ground.order('arm', { name: 'old-os-returns', target: ground.host })
  expect(await ground.bringUp()).toMatchObject({ output: { way: 'flatcar-reset' } })
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.notes.join('\n')).toMatch(/flatcar-reset led nowhere .* has booted again/)
  expect(ground.notes.join('\n')).toMatch(/kexec: load the installer/)
  expect(ground.writes()).toEqual([1, 0])
})

test('killed before its order to reboot arrived: the old system is waited for, and reset after all', async context => {
  const ground = await groundFor(context, { install: ['flatcar-reset'] })
  // What the killed process left on this computer; the machine does not answer at the first look.
  new Away(ground.runFolder).begins(ground.host)
  ground.emulator(ground.host).state.upAt = Date.now() + 1_000
  expect(await ground.bringUp()).toMatchObject({ state: 'done', output: { way: 'flatcar-reset' } })
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.writes()).toEqual([1, 0])
})

test('a BMC that ignores the order for one boot: the old system is noticed, a person is asked next', async context => {
  const ground = await groundFor(context, {
    install: ['pxe', 'by-hand'],
    host: { power: redfish },
    blueprint: host => {
      host.begins = 'old-os'
    },
  })
  await ground.order('arm', { name: 'bmc-ignores-boot-once', target: ground.host, times: '1000' })
  expect(await ground.bringUp()).toMatchObject({ state: 'done' })
  expect(ground.notes.join('\n')).toMatch(/pxe led nowhere on hydrogen: .*booted Fedora CoreOS 40 instead/)
  expect(ground.asked).toHaveLength(1)
  // Nothing lies in wait.
  expect(ground.world.read('offers')).toEqual({})
  expect(ground.hosts.leftovers(ground.host)).toEqual([])
})

test('a machine that does not boot the virtual CD: it is taken out, the disk is as it was, a person is asked next', async context => {
  const ground = await groundFor(context, {
    install: ['virtual-media', 'by-hand'],
    host: { power: redfish },
  })
  await ground.order('arm', { name: 'bmc-ignores-boot-once', target: ground.host, times: '1000' })
  ground.patience.ms = 1_500
  expect(await ground.bringUp()).toMatchObject({ state: 'done' })
  expect(ground.notes.join('\n')).toMatch(
    /virtual-media led nowhere .*taken out again; its disk is as it was/,
  )
  expect(ground.model()).not.toHaveProperty('media')
  expect(ground.hosts.leftovers(ground.host)).toEqual([])
  expect(ground.writes()).toEqual([0, 0])
})

test('nothing leads anywhere: every reason is told, nothing is written', async context => {
  const ground = await groundFor(context, {
    install: ['ssh', 'virtual-media'],
    blueprint: host => {
      host.begins = 'off'
    },
  })
  expect(await ground.bringUp()).toMatchObject({
    state: 'blocked',
    code: 'no-way-to-install',
    reason: expect.stringMatching(
      /ssh: it does not answer by SSH; virtual-media: it has no BMC with virtual media/,
    ),
  })
  await expect(ground.hosts.climb(ground.host, ground.guidance())).rejects.toMatchObject({
    code: 'ladder-exhausted',
  })
})

test('a BMC of another machine is not touched', async context => {
  const ground = await groundFor(context, {
    install: ['pxe'],
    host: { power: redfish, mac: '52:54:00:aa:bb:01' },
    blueprint: host => {
      host.mac = '52:54:00:de:ad:01'
    },
  })
  const before = ground.world.mutations.hosts
  await expect(ground.hosts.climb(ground.host, ground.guidance())).rejects.toMatchObject({
    code: 'ladder-exhausted',
    message: expect.stringContaining('belongs to another machine than hydrogen'),
  })
  expect(ground.world.mutations.hosts).toBe(before)
  expect(ground.model().system).toBe('off')
})

test('data that came after the person was asked: no way to install is begun, and a reset asks for it by name', async context => {
  const late = '/opt/local-path-provisioner/pvc-9_photos_late/picture'
  for (const install of [['kexec'], ['flatcar-reset']]) {
    const ground = await groundFor(context, { install })
    const acting = () => ground.acting() as never
    const survey = await surveyHost.observe(acting())
    if (survey.state !== 'done') throw new Error(survey.state)
    ground.outputs.set('evidence/survey-hosts', survey.output)
    const { files } = ground.emulator(ground.host).state
    const victims = async () =>
      (await installFlatcar.victims!(acting())).filter(v => v.kind === 'data').map(v => v.name)
    if (install[0] === 'kexec') {
      files[late] = { text: 'a picture', mode: '0644' }
      await expect(ground.bringUp()).rejects.toMatchObject({
        code: 'data-appeared',
        message: expect.stringContaining('hydrogen /opt/local-path-provisioner (pvc-9_photos_late)'),
      })
      delete files[late]
      expect(await ground.bringUp()).toMatchObject({ state: 'done', output: { way: 'installer' } })
      expect(await victims()).toEqual([])
    } else {
      expect(await ground.bringUp()).toMatchObject({ output: { way: 'flatcar-reset' } })
      expect(await victims()).toEqual([])
      files[late] = { text: 'a picture', mode: '0644' }
      expect(await victims()).toEqual(['hydrogen /opt/local-path-provisioner'])
    }
    expect(ground.writes()).toEqual([0, 0])
  }
})

test('a machine that was silent: what lies on its disk is looked for from its memory, and asked for by name', async context => {
  const ground = await groundFor(context, {
    install: ['pxe'],
    host: { power: redfish },
    blueprint: host => {
      host.begins = 'off'
      host.oldFiles = {
        '/var/lib/k0s/db/state.db': 'SQLite format 3',
        '/opt/local-path-provisioner/pvc-9_photos_late/picture': 'a picture',
      }
    },
  })
  const acting = () => ground.acting() as never
  const survey = await surveyHost.observe(acting())
  expect(survey).toMatchObject({ state: 'done', output: { saw: 'silent', data: [] } })
  expect(await ground.bringUp()).toMatchObject({ state: 'done', output: { way: 'installer' } })
  const victims = await installFlatcar.victims!(acting())
  expect(victims.map(v => [v.kind, v.name])).toEqual([
    ['disk', expect.stringMatching(/^hydrogen /)],
    ['data', 'hydrogen /opt/local-path-provisioner'],
    ['data', 'hydrogen /var/lib/k0s/db'],
  ])
  expect(victims[0]?.remarks).toContainEqual(expect.stringContaining('looked into from the machine’s memory'))
  expect(victims[1]?.remarks?.join()).toContain('pvc-9_photos_late')
  // What an attempt of ours left half written is not asked for.
  expect((await installFlatcar.victims!(acting(), true)).map(v => v.kind)).toEqual(['disk'])
  expect(ground.writes()).toEqual([0, 0])
})
