appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

network "office" {
  subnet  = "192.168.50.0/24"
  range   = ["192.168.50.100", "192.168.50.199"]
  routers = ["192.168.50.254"]
  domain  = "office.example"
}

profile "everybody" {
  default = true
  settings {
    language                      = "Deutsch"
    ntp_server                    = server.address
    auto_reboot_on_setting_change = true
    codec_tos                     = 184
    internal_ringer_text          = { value = "Tür & \"Hof\"", perm = "!", idx = 0 }
  }
  key "5" {
    type  = "speed"
    value = "<sip:door@office.example>"
    label = "Tür"
  }
  phonebook {
    contact "Müller & Söhne" {
      number = "+49301234567"
    }
  }
  dialplan {
    template "0." {
      timeout = 0
      rewrite = "sip:\\1@office.example"
    }
  }
  languages {
    gui = { Deutsch = "languages/gui lang_DE.xml", "Français" = "https://files.example.org/gui_lang_FR.xml" }
    web = { Deutsch = "languages/web_lang_DE.xml" }
  }
}

profile "desk" {
  settings {
    admin_mode          = { value = false, perm = "RW" }
    admin_mode_password = password("admin/${phone.mac}")
    phone_name          = "${phone.name} (${phone.model})"
  }
  phonebook {
    contact "Door" {
      number      = "8"
      type        = "vip"
      first_name  = "The"
      last_name   = "Door"
      number_type = "fixed"
    }
  }
}

locals {
  versions = {
    snom370 = "8.7.5.35"
    snom760 = "8.9.3.80"
    snomD785 = "10.1.215.13"
    snom821 = "8.7.5.35"
    snomD120 = "10.1.54.13"
    snomD385 = "10.1.215.13"
    snomD865 = "10.1.215.13"
    snomMP = "8.7.5.35"
    snomPA1 = "8.7.5.35"
    snomM900 = "07.40.0104"
    snom190 = "3.60"
    snomD999 = "99.1"
  }
}

model "snom370" {
  firmware = local.versions.snom370
}

model "snom760" {
  firmware = local.versions.snom760
}

model "snomD785" {
  firmware = local.versions.snomD785
}

model "snom821" {
  firmware = local.versions.snom821
}

model "snomD120" {
  firmware = local.versions.snomD120
}

model "snomD385" {
  firmware = local.versions.snomD385
}

model "snomD865" {
  firmware = local.versions.snomD865
}

model "snomMP" {
  firmware = local.versions.snomMP
}

model "snomPA1" {
  firmware = local.versions.snomPA1
}

model "snomM900" {
  firmware = local.versions.snomM900
}

model "snom190" {
  firmware = local.versions.snom190
}

model "snomD999" {
  firmware = local.versions.snomD999
}

phones "one of each family" {
  for_each = {
    "000413000000" = "snom370"
    "000413000001" = "snom760"
    "000413000002" = "snomD785"
    "000413000003" = "snom821"
    "000413000004" = "snomD120"
    "000413000005" = "snomD385"
    "000413000006" = "snomD865"
    "000413000007" = "snomMP"
    "000413000008" = "snomPA1"
    "000413000009" = "snomM900"
    "00041300000A" = "snom190"
    "00041300000B" = "snomD999"
  }
  mac     = each.key
  name    = "a ${each.value}"
  model   = each.value
  profile = "desk"
  identity "1" {
    user     = "1${substr(each.key, 10, 2)}"
    password = "not <this> & that"
    settings {
      user_srtp = true
    }
  }
  key "0" {
    type = "line"
  }
  key "1" {
    type  = "keyevent"
    value = "F_REDIAL"
    label = "Wähl \"nochmal\""
    perm  = "RW"
  }
}
