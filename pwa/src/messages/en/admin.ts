/** The words of the admin's pages, which bring them along. */
export { audit } from './audit'
export { grant } from './grant'
export { icon } from './icon'
export { serviceForm } from './serviceForm'
export { siteAdmin } from './siteAdmin'
export { user } from './user'
