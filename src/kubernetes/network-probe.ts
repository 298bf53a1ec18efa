import type { KubernetesObject } from './kubernetes.ts'

/** Exit codes of {@link networkProbe}. */
export const probeRefusals = { nameUnknown: 10, serviceAway: 11 }

/**
 * Looks from inside a pod whether names are resolved by the cluster's DNS and whether a Service's address leads to who
 * stands behind it: the API server's own, which every cluster has. Needs sh and getent or nslookup; nc or bash to connect.
 */
export const networkProbe = `set -u
say() { printf '%s' "$1" > "\${SAY:-/dev/termination-log}"; }
resolve() {
  if command -v getent > /dev/null; then getent hosts "$1" | { read -r a _ || :; printf '%s' "\${a:-}"; }
  else nslookup "$1" 2> /dev/null | sed -n '/^Name:/,$ s/^Address[^:]*: *\\([^ ]*\\).*/\\1/p' | head -n 1; fi
}
tries=\${TRIES:-10}
while :; do
  address=$(resolve "$NAME")
  [ -n "$address" ] && break
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { say "the cluster's DNS does not know $NAME"; exit ${probeRefusals.nameUnknown}; }
  sleep 2
done
if command -v nc > /dev/null; then connect() { nc -z -w 5 "$1" "$2"; }
elif command -v bash > /dev/null; then connect() { timeout 5 bash -c ": > /dev/tcp/$1/$2"; }
else say "$NAME is $address; there is no program to connect with"; exit 0; fi
if connect "$address" "$PORT" 2> /dev/null; then say "$NAME is $address, and answers at port $PORT"; exit 0; fi
say "$NAME is $address, and nothing answers there at port $PORT"
exit ${probeRefusals.serviceAway}
`

/** Where the probe's Job is. */
export const probeJob = { namespace: 'default', name: 'recover-network-probe' } as const

/** The Job that runs the probe. It sweeps itself away a day after it ended, should nobody else. */
export function networkProbeJob(image: string): KubernetesObject {
  const labels = { 'recover.dev/job': probeJob.name }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...probeJob, labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: 300,
      ttlSecondsAfterFinished: 86_400,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          containers: [
            {
              name: 'probe',
              image,
              command: ['/bin/sh', '-c', networkProbe],
              env: [
                { name: 'NAME', value: 'kubernetes.default.svc' },
                { name: 'PORT', value: '443' },
              ],
            },
          ],
        },
      },
    },
  }
}
