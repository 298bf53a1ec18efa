import type { RunEventBody, StepFace } from '../../src/runbook/events.ts'
import type { FaultJson } from '../../src/runbook/fault.ts'

/** Something a run says, or the milliseconds that go by before it says more. */
export type Line = RunEventBody | number

const phases = [
  { id: 'preflight', title: 'Preflight' },
  { id: 'evidence', title: 'Evidence' },
  { id: 'protect', title: 'Protect' },
  { id: 'hosts', title: 'Hosts' },
  { id: 'kubernetes', title: 'Kubernetes' },
  { id: 'bootstrap', title: 'Bootstrap' },
  { id: 'volumes', title: 'Volumes' },
  { id: 'applications', title: 'Applications' },
  { id: 'proof', title: 'Proof' },
]

function face(
  id: string,
  title: string,
  expectedMs: number,
  danger: StepFace['danger'] = 'changes',
): StepFace {
  return { id, phase: id.replace(/\/.*/, ''), title, danger, expectedMs }
}

function disk(host: string) {
  return {
    kind: 'disk',
    name: `${host} /dev/nvme0n1`,
    identity: { serial: `S4EVNX0M1234${host.length}`, size: 512_110_190_592 },
    content: ['Flatcar 4152.2.3'],
  }
}

function fault(code: string, message: string, remedy: string): FaultJson {
  return { code, blame: 'host', message, remedy }
}

export const started: RunEventBody = {
  code: 'run-started',
  run: '2026-03-01-quiet-otter',
  runbook: 'from-scratch',
  resumed: false,
  phases,
}

const beginning: Line[] = [
  started,
  {
    code: 'steps-known',
    steps: [
      face('preflight/artifacts', 'Check the artifacts', 20_000, 'reads'),
      face('preflight/nas', 'Reach the NAS', 5_000, 'reads'),
      face('evidence/map', 'Map the volumes', 15_000, 'reads'),
      face('kubernetes/apply', 'Install Kubernetes with k0sctl', 300_000),
      face('proof/updates', 'Resume OS updates', 10_000),
    ],
  },
  { code: 'step-looking', step: 'preflight/artifacts' },
  { code: 'step-looking', step: 'preflight/nas' },
  2_000,
  {
    code: 'step-done',
    step: 'preflight/nas',
    how: 'already',
    evidence: 'DSM 7.2.2 answered at 192.0.2.17:5001 with the certificate that recover.yaml names',
    tookMs: 2_000,
  },
  3_000,
  {
    code: 'step-done',
    step: 'preflight/artifacts',
    how: 'already',
    evidence: '3 images present and signed by a key that is valid until 2027-01-05',
    tookMs: 5_000,
  },
  { code: 'step-looking', step: 'evidence/map' },
  { code: 'step-applying', step: 'evidence/map', attempt: 1 },
  1_500,
  { code: 'step-note', step: 'evidence/map', text: 'kine says 2 volumes, Git says 3\nthe NAS says 3' },
  2_500,
  {
    code: 'step-done',
    step: 'evidence/map',
    how: 'applied',
    evidence: '3 volumes, each found on the NAS',
    tookMs: 4_000,
  },
]

/** Two hosts and three volumes: one of each thing that can happen. */
export const homeMidRun: Line[] = [
  ...beginning,
  {
    code: 'steps-known',
    steps: [
      face('protect/snapshot[grafana]', 'Snapshot grafana/data', 30_000),
      face('protect/snapshot[gitea]', 'Snapshot gitea/repositories', 30_000),
      face('protect/snapshot[cache]', 'Snapshot scratch/cache', 30_000),
      face('hosts/installer[lithium]', 'Bring up the installer on lithium', 120_000),
      face('hosts/installer[beryllium]', 'Bring up the installer on beryllium', 120_000),
      face('hosts/install[lithium]', 'Install Flatcar on lithium', 240_000, 'destroys'),
      face('hosts/install[beryllium]', 'Install Flatcar on beryllium', 240_000, 'destroys'),
    ],
  },
  { code: 'step-looking', step: 'protect/snapshot[grafana]' },
  { code: 'step-looking', step: 'protect/snapshot[gitea]' },
  { code: 'step-applying', step: 'protect/snapshot[grafana]', attempt: 1 },
  1_000,
  {
    code: 'step-retrying',
    step: 'protect/snapshot[grafana]',
    fault: fault('nas-busy', 'the NAS is busy with another snapshot (error 18990532)', 'Wait'),
    attempt: 1,
    of: 3,
    delayMs: 10_000,
  },
  { code: 'step-applying', step: 'protect/snapshot[gitea]', attempt: 1 },
  { code: 'step-progress', step: 'protect/snapshot[gitea]', done: 120, total: 900, unit: 'MiB' },
  2_000,
  { code: 'step-looking', step: 'hosts/installer[lithium]' },
  { code: 'step-applying', step: 'hosts/installer[lithium]', attempt: 1 },
  {
    code: 'step-waiting',
    step: 'hosts/installer[lithium]',
    what: 'the installer of this run to answer over SSH at 192.0.2.11',
    limitMs: 600_000,
  },
  { code: 'step-looking', step: 'hosts/installer[beryllium]' },
  { code: 'step-applying', step: 'hosts/installer[beryllium]', attempt: 1 },
  {
    code: 'hand-needed',
    step: 'hosts/installer[beryllium]',
    subject: 'beryllium',
    text: 'Put the stick labelled RECOVER into beryllium, switch it on, and choose the stick in its boot menu (F12 on most boards)',
  },
  {
    code: 'step-waiting',
    step: 'hosts/installer[beryllium]',
    what: 'somebody to start beryllium from the stick',
    limitMs: 1_800_000,
  },
  { code: 'notice', about: 'clock', text: 'The clock of lithium is 4 min behind' },
  65_000,
]

/** Goes on from {@link homeMidRun}: consent, a failure, and an end with steps left. */
export const homeEnd: Line[] = [
  {
    code: 'step-done',
    step: 'hosts/installer[lithium]',
    how: 'applied',
    evidence: 'boot id 4c1f answers as this run’s installer',
    tookMs: 67_000,
  },
  { code: 'step-looking', step: 'hosts/install[lithium]' },
  { code: 'step-due', step: 'hosts/install[lithium]', changes: ['write Flatcar 4230.2.1 to /dev/nvme0n1'] },
  { code: 'consent-needed', step: 'hosts/install[lithium]', victims: [disk('lithium')] },
  { code: 'consent-given', by: 'ann', how: 'typed', victims: [disk('lithium')] },
  { code: 'step-applying', step: 'hosts/install[lithium]', attempt: 1 },
  { code: 'step-progress', step: 'hosts/install[lithium]', done: 310, total: 512, unit: 'MiB' },
  4_000,
  {
    code: 'step-done',
    step: 'protect/snapshot[gitea]',
    how: 'applied',
    evidence: 'snapshot GMT+01-2026.03.01-10.00.00 is there',
    tookMs: 72_000,
  },
  {
    code: 'step-failed',
    step: 'protect/snapshot[grafana]',
    fault: fault(
      'snapshot-refused',
      'the NAS refused a snapshot of LUN k8s-csi-pvc-5d1e7c0a: there is no space left on volume 1 (error 18990541)',
      'Free at least 2 GiB on volume 1 in DSM’s Storage Manager, then run `recover resume`',
    ),
    tookMs: 72_000,
  },
  { code: 'step-looking', step: 'protect/snapshot[cache]' },
  {
    code: 'step-done',
    step: 'protect/snapshot[cache]',
    how: 'confirmed',
    evidence: 'new volumes need none',
    tookMs: 100,
  },
  { code: 'run-stopping', how: 'after-current' },
  30_000,
  {
    code: 'step-done',
    step: 'hosts/install[lithium]',
    how: 'applied',
    evidence: 'Flatcar 4230.2.1 on disk S4EVNX0M12347',
    tookMs: 34_000,
  },
  {
    code: 'run-ended',
    run: '2026-03-01-quiet-otter',
    state: 'failed',
    failed: ['protect/snapshot[grafana]'],
    left: 5,
    tookMs: 112_500,
  },
]

/** Everything at once on forty hosts: all work, many wait for a person, many have failed. */
export function manyHosts(count: number): Line[] {
  const hosts = Array.from({ length: count }, (_, i) => `node-${String(i + 1).padStart(2, '0')}`)
  const lines: Line[] = [
    ...beginning,
    {
      code: 'steps-known',
      steps: hosts.flatMap(h => [
        face(`hosts/installer[${h}]`, `Bring up the installer on ${h}`, 120_000),
        face(`hosts/install[${h}]`, `Install Flatcar on ${h}`, 240_000, 'destroys'),
        face(`kubernetes/join[${h}]`, `Let ${h} join the cluster`, 60_000),
      ]),
    },
  ]
  for (const [i, h] of hosts.entries()) {
    lines.push({ code: 'step-looking', step: `hosts/installer[${h}]` }, 10)
    if (i % 4 === 0)
      lines.push({
        code: 'step-failed',
        step: `hosts/installer[${h}]`,
        fault: fault(
          'bmc-unreachable',
          `no answer from the BMC of ${h} at https://192.0.2.${i + 100} within 30 s, which has to switch it on before anything else can be done`,
          'See whether the BMC has power and an address, then run `recover resume`',
        ),
        tookMs: 30_000,
      })
    else if (i % 4 === 1)
      lines.push(
        {
          code: 'hand-needed',
          step: `hosts/installer[${h}]`,
          subject: h,
          text: `Put the stick labelled RECOVER into ${h}, switch it on, and choose the stick in its boot menu (F12 on most boards)`,
        },
        {
          code: 'step-waiting',
          step: `hosts/installer[${h}]`,
          what: `somebody to start ${h}`,
          limitMs: 900_000,
        },
      )
    else if (i % 4 === 2)
      lines.push({
        code: 'step-done',
        step: `hosts/installer[${h}]`,
        how: 'applied',
        evidence: `${h} answers as this run’s installer`,
        tookMs: 900,
      })
    else lines.push({ code: 'step-applying', step: `hosts/installer[${h}]`, attempt: 1 })
    lines.push({ code: 'step-looking', step: `kubernetes/join[${h}]` })
  }
  lines.push(
    { code: 'notice', about: 'clock', text: 'The clocks of these machines differ by up to 4 min' },
    5_000,
  )
  return lines
}

/** A run in which nothing goes wrong, to its end. */
export const goodRun: Line[] = [
  ...beginning,
  { code: 'step-looking', step: 'kubernetes/apply' },
  { code: 'step-applying', step: 'kubernetes/apply', attempt: 1 },
  240_000,
  {
    code: 'step-done',
    step: 'kubernetes/apply',
    how: 'applied',
    evidence: 'the API answers at 192.0.2.11:6443',
    tookMs: 240_000,
  },
  { code: 'step-done', step: 'proof/updates', how: 'kept', evidence: 'update-engine runs', tookMs: 0 },
  {
    code: 'run-ended',
    run: '2026-03-01-quiet-otter',
    state: 'finished',
    failed: [],
    left: 0,
    tookMs: 249_000,
  },
]
