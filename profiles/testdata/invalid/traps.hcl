appliance {
  interface = "eth0"
  files_dir = "files"
}

profile "base" {
  default = true
  settings {
    language            = "Deutsch"
    backlight           = 8
    ring_sound          = { value = "Ringer1", perm = "!" }
    admin_mode_password = "0815" # WARNING: Password in a general document
    http_pass           = ""
  }
  languages {
    gui = { "Deutsch" = "languages/de.xml" } # WARNING: Missing file
  }
  key "0" {
    type = "line"
  }
  dialplan {
    template "0." {
      timeout = 0
    }
    template "0.......*" { # WARNING: Template that never matches
      timeout = 5
    }
    template "1,1." {
      timeout = 3
    }
  }
}

profile "desk" {
  settings {
    language   = "Français"                # WARNING: Language without a file
    backlight  = { value = 5, perm = "!" } # WARNING: Flags that work against each other
    ring_sound = { value = "Ringer2", perm = "!" }
  }
  key "0" {
    type = "line"
  }
  key "1" {
    type  = "speed"
    value = "112"
  }
}

phone "000413000001" {
  name    = "anna"
  model   = "snom300"
  profile = "desk"
  identity "1" {
    user      = "100" # WARNING: Identity without a password
    registrar = "pbx.example"
  }
  identity "2" {
    user     = "101" # WARNING: Identity without a registrar
    password = "x${phone.model}"
  }
  identity "3" {
    user   = "101"
    active = false
  }
  identity "40" {
    user      = "102"         # WARNING: Identity beyond the model's
    password  = "x"           # WARNING: Identity beyond the model's
    registrar = "pbx.example" # WARNING: Identity beyond the model's
  }
  key "1" { # WARNING: Key set twice
    type  = "speed"
    value = "110"
  }
  key "0" { # WARNING: Key set twice
    type    = "line"
    context = "2"
  }
  key "6" { # WARNING: Key beyond the model's
    type = "line"
  }
  dialplan {
    template "01234" {} # WARNING: Template that never matches
    template "11,2" {}
    template "0 1" {} # WARNING: Template that never matches
    template "," {}   # WARNING: Template that never matches
  }
}

phone "000413000002" {
  name    = "learned"
  profile = "desk"
  identity "1" {
    user      = "101"
    password  = "x${phone.model}"
    registrar = "pbx.example"
  }
}
