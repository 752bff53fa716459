// Package access: the use cases of the authority, with rights, audit and events. It asks
// policy who may, keeps in a store what should be, and has cores made so by an Enforcer;
// it declares the two that it wishes for.
//
// Every use case takes the Actor on whose behalf it runs. What an actor may not know of is
// ownline.ErrNotFound for them; what they may see but not do is ownline.ErrForbidden. Bad
// input is an ownline.FieldError that names the field as the API calls it. After an error
// nothing has changed, unless the use case says otherwise.
package access
