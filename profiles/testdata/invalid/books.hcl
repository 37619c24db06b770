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

profile "desk" {
  phonebook {
    contact "Anna" { # ERROR: Missing required argument
    }
    contact "Bell \u0007" { # ERROR: Character that no document can hold
      number = 1
      colour = 2 # ERROR: Unsupported argument
    }
  }
  dialplan {
    template "0." {
      timeout = "soon" # ERROR: Invalid timeout
    }
    template "0." { # ERROR: Duplicate template
      timeout = 0
    }
  }
  languages {
    gui = { "Deutsch" = "languages/gui_lang_DE.xml" } # ERROR: Languages of one phone
  }
}

profile "base" {
  default = true
  languages {
    gui = "languages/gui_lang_DE.xml"           # ERROR: Wrong type of value
    web = { "Deutsch" = "../web_lang_DE.xml" }  # ERROR: Invalid path
  }
}
