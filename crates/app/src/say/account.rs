//! People, tokens, runners and who may do what.

use nightshift_domain::sentences;

sentences! {
    needs_admin() = "refused.account-needs-admin": "this needs an administrator's token";
    needs_role(project, need) = "refused.account-needs-role": "your role in {project} does not allow this; it needs {need}: ask a maintainer";
    other_token() = "refused.account-other-token": "another kind of token";
    not_signed_in() = "refused.account-not-signed-in": "this does not sign you in: the link was used or is too old, or name and password do not fit";
    person_exists(name) = "refused.account-person-exists": "there is a person named {name} already";
    no_person(name) = "refused.account-no-person": "no person named {name}";
    no_person_listed(name) = "refused.account-no-person-listed": "no person named {name}: `nightshift user list` shows them";
    bad_name(name) = "refused.account-bad-name": "{name} is no name: use 1 to 40 letters, digits, `-`, `_` or `.`, not beginning with `-` or `.`";
    token_label() = "refused.account-token-label": "`label` must say in 1 to 200 characters what the token is for";
    token_label_taken(label) = "refused.account-token-label-taken": "`label` {label} is the platform's own: say what the token is for";
    no_token(id) = "refused.account-no-token": "no token {id} of yours: `nightshift token list` shows them";
    no_runner(name) = "refused.account-no-runner": "no runner named {name}: `nightshift runners` shows them";
    no_notification(id) = "refused.account-no-notification": "no notification {id} of yours";
    no_provider() = "refused.account-no-provider": "no provider of identities is set: name one in the server's settings file (see docs/operations.md, Sign-in by a provider)";
    no_identity(name, id) = "refused.account-no-identity": "{name} has no identity {id}: `nightshift user identities {name}` shows them";
    password_length(least) = "refused.account-password-length": "a password has {least} to 256 characters: take a few words";
    wish_taken(wish) = "refused.account-wish-taken": "a thousand people are named {wish}: an administrator must make this account";
    account_gone() = "refused.account-account-gone": "the account is gone";
}
