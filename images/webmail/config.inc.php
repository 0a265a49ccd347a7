<?php
// Roundcube's settings; the rest is as in its defaults.inc.php. The entrypoint has checked the environment.
$config = [];
$config['db_dsnw'] = 'sqlite:////run/webmail/roundcube.db?mode=0640';
$config['des_key'] = getenv('DES_KEY');
$config['temp_dir'] = '/run/webmail/temp';
$config['log_dir'] = '/run/webmail';
$config['log_driver'] = 'stdout';

// Who logs in here has a mailbox there, and sends as the same user.
$config['imap_host'] = getenv('IMAP_HOST') . ':143';
$config['smtp_host'] = getenv('SMTP_HOST') . ':587';
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['smtp_helo_host'] = 'webmail.' . getenv('MAIL_DOMAIN');
$config['imap_timeout'] = 10;
$config['smtp_timeout'] = 10;
$config['username_domain'] = getenv('MAIL_DOMAIN');
$config['mail_domain'] = getenv('MAIL_DOMAIN');
$config['junk_mbox'] = '';

// A failed log-in is an answer, not an attack.
$config['login_rate_limit'] = 0;
$config['session_samesite'] = 'Lax';
$config['enable_installer'] = false;
$config['enable_spellcheck'] = false;
$config['plugins'] = [];
$config['skin'] = 'elastic';
$config['product_name'] = 'Webmail of ' . getenv('MAIL_DOMAIN');
$config['support_url'] = '';
