export const invitation = {
  title: 'Invitations',
}
