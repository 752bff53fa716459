import { listOf } from '../format'

export const site = {
  title: 'Sites',
  took: (name: string, ms: number) => `${name} · ${ms} ms`,
  answered: (ms: number) => `reachable, ${ms} ms`,
  lastContact: (ago: string) => `last contact ${ago}`,
  never: 'no contact yet',
  check: 'Check now',
  open: 'Open Sites',
  reachable: 'reachable',
  cannotReach: "can't be reached",
  lost: 'Ownline unreachable',
  some: (up: number, all: number) => `${up} of ${all} sites`,
  see: 'See what to check',
  down: (names: string[]) =>
    `${listOf('en', names)} can't be reached. Open sessions keep running and end on time; new ones can't open.`,
  root: {
    title: 'Certificates',
    meaning: (domain: string) =>
      `The services below ${domain} have certificates of the router's own authority, and browsers warn of them. A device that trusts it opens them without a warning, and takes its word for every name below ${domain}. Do that only on devices of yours.`,
    download: (name: string) => `Download the certificate of ${name}`,
  },
}
