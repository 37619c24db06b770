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

locals {
  pin = sensitive("1234")
}

profile "base" {
  default = true
  settings {
    phone_name          = "phone ${phone.name}" # ERROR: Phone in a general document
    admin_mode_password = local.pin             # ERROR: Secret in a general document
    http_pass           = password("web")       # ERROR: Secret in a general document
    ring_sound          = [1, local.pin]        # ERROR: Secret in a general document
  }
  identity "1" {
    registrar = "pbx.office.example"
    password  = "1234" # ERROR: Secret in a general document
  }
  phonebook {
    dynamic "contact" {
      for_each = [for p in phones : p if p.mac != phone.mac] # ERROR: Phone in a general document
      labels   = [contact.value.name]
      content {
        number = contact.value.extension
      }
    }
  }
}

model "snomD785" {
  settings {
    http_user = phone.mac # ERROR: Phone in a general document
  }
  languages {
    gui = { Deutsch = local.pin } # ERROR: Secret in a general document
  }
}
