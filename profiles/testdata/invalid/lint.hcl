appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

network "office" {
  subnet  = "192.168.50.0/24"
  range   = ["192.168.50.100", "192.168.50.199"]
  routers = ["192.168.50.1"]
  host "02:00:5e:10:00:01" {
    address = "192.168.50.10"
  }
}

profile "base" {
  default = true
  settings {
    dhcp           = true               # WARNING: Network setting beside DHCP
    dns_server1    = "192.0.2.53"       # WARNING: Network setting beside DHCP
    setting_server = "http://192.0.2.1" # WARNING: Setting server outside a redirect
    firmware       = "http://192.0.2.1" # WARNING: Firmware setting
    update_server  = "192.0.2.1"        # WARNING: Firmware setting
    reset_settings = true               # WARNING: Internal setting
    phone_type     = ""                 # WARNING: Setting that breaks provisioning
    ntp_server     = "192.0.2.1"
  }
  languages {
    gui = { "Deutsch" = "languages/gui_lang_DE.xml" } # WARNING: Missing file
    web = { "Deutsch" = "https://files.example.org/web_lang_DE.xml" }
  }
}

model "snom370" {
  firmware = "8.7.5.35" # WARNING: Missing file
  settings {
    admin_mode = { value = false, perm = "R" } # WARNING: Admin locked out
  }
}

model "snom360" {
  firmware = "snom370-8.7.5.35-SIP-f.bin" # WARNING: Firmware of another model # WARNING: Missing file
}

profile "pilot" {
  firmware = "9.9.9" # WARNING: Missing file
  settings {
    admin_mode = false
  }
}

phones "pilots" {
  for_each = ["000413000001", "000413000002"]
  mac      = each.value
  name     = "pilot ${each.key}"
  model    = "snom760"
  profile  = "pilot"
  settings {
    mac = each.value # WARNING: Internal setting
  }
}

profile "unused" {
  settings {
    gateway = "192.0.2.1" # WARNING: Network setting beside DHCP
  }
}
