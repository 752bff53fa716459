export const address = {
  title: 'Where you are',
  unknown: 'Your address is not known.',
  alone: 'Sessions open for this address alone.',
  network: (source: string) => `Sessions open for your network, ${source}.`,
  inside: "You're inside. Services answer without a session.",
  shared: 'Your carrier shares this address out to many, so no session can be opened for it.',
  unsure: 'The server sees a proxy, not you. Ask your admin to check trusted_proxies.',
  badgeUnsure: 'Unsure',
  unusable: 'No session can be opened for this address.',
  badgeIPv6: 'IPv6',
  badgeInside: 'In the LAN',
  badgeShared: 'Shared',
  badgeUnusable: 'Not usable',
  changed: (now: string, before: string) =>
    `Your address is now ${now}. Sessions still belong to ${before}.`,
}
